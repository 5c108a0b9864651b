-- Jobs that a dead run held: as few as its concurrency, found through the index of leases. In no order: to give them by
-- id, SQLite would rather walk all jobs than sort these.
SELECT id, attempts, state, failures, generation, crashes, error_type, due_at_us
FROM jobs WHERE run_id IS NOT NULL
