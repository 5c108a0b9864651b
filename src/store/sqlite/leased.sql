-- Jobs that a dead run held: as few as its concurrency, found through the index of leases.
SELECT id, attempts, state, failures, generation, crashes, error_type, due_at_us
FROM jobs WHERE run_id IS NOT NULL ORDER BY id
