-- Jobs that a dead run held: as few as its concurrency, found through the index of leases. In no order: to give them by
-- id, SQLite would rather walk all jobs than sort these. The method tells whether to send it twice may do harm.
SELECT j.id, j.attempts, j.state, j.failures, j.generation, j.crashes, j.was, j.error_type, j.due_at_us, r.method
FROM jobs AS j CROSS JOIN requests AS r ON r.job_id = j.id
WHERE j.run_id IS NOT NULL
