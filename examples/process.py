#!/usr/bin/env python3
"""Work on responses in Python: haul run urls.txt --process 'cmd:python3 examples/process.py'

`process` is yours; the loop below it stays as it is. haul runs one copy of this program for each CPU thread.
"""

import json
import sys


def process(job):
    """Gives what is kept for a response. What it raises fails the job."""
    below = json.loads(job["body"])["below"]
    return {"sum_of_squares": sum(n * n for n in range(below))}


answers, sys.stdout = sys.stdout, sys.stderr  # whatever `print` says goes to the log
for line in sys.stdin:
    job = json.loads(line)
    try:
        answer = {"id": job["id"], "output": process(job)}
    except Exception as error:
        # "retry": "fetch" would ask the server again, "process" only this program
        answer = {"id": job["id"], "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), file=answers, flush=True)
