-- Leases what claim.sql found in this transaction; $1 = jobs, $2 = when their permits are void, or null, $3 = the run.
-- While a request is in flight, `due_at_us` of its job is the time after which its permit is void: who takes the job up after a
-- death must know which permits may have been used late.
UPDATE jobs SET run_id = $3, attempts = attempts + 1, due_at_us = coalesce(b.permit_us, due_at_us)
FROM unnest($1::bigint[], $2::bigint[]) AS b(job, permit_us)
WHERE jobs.id = b.job
