-- Jobs that dead runs held: as few as their concurrency, found through the index of leases; $1 = the runs. The method tells whether to
-- send it twice may do harm.
SELECT j.id, j.attempts, j.state, j.failures, j.generation, j.crashes, j.was, j.error_type, j.due_at_us, r.method
FROM jobs AS j JOIN requests AS r ON r.job_id = j.id
WHERE j.run_id = ANY ($1::bigint[])
ORDER BY j.id
FOR NO KEY UPDATE OF j
