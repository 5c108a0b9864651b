-- Gives leases back under which nothing was sent; $1 = jobs, $2 = attempts, $3 = the run. They were due.
UPDATE jobs SET run_id = NULL, due_at_us = 0
FROM unnest($1::bigint[], $2::integer[]) AS b(job, attempt)
WHERE jobs.id = b.job AND jobs.attempts = b.attempt AND jobs.run_id = $3
