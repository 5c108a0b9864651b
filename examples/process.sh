#!/bin/sh
# Work on responses in the shell: haul run urls.txt --process 'cmd:sh examples/process.sh'
#
# A line of JSON comes in for each job, and one goes out. The number of the job stands first in its line.

while IFS= read -r job; do
    id=$(printf '%s\n' "$job" | sed 's/^{"id":\([0-9]*\),.*/\1/')
    below=$(printf '%s\n' "$job" | sed -n 's/.*\\"below\\": *\([0-9]*\).*/\1/p')
    if [ -n "$below" ]; then
        # the sum of squares below n is (n - 1) n (2 n - 1) / 6
        printf '{"id":%s,"output":{"sum_of_squares":%s}}\n' "$id" $(((below - 1) * below * (2 * below - 1) / 6))
    else
        printf '{"id":%s,"error":"the response names no number"}\n' "$id"
    fi
done
