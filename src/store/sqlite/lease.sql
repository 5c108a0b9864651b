-- Leases what claim.sql found in this transaction; ?1 = JSON array of [job, permit void after or null], ?2 = the run.
-- While a request is in flight, `due_at_us` of its job is the time after which its permit is void: a recovery must know
-- which permits may have been used late.
UPDATE jobs SET run_id = ?2, attempts = attempts + 1, due_at_us = coalesce(b.value ->> 1, due_at_us)
FROM jsonb_each(?1) AS b
WHERE jobs.id = b.value ->> 0
