-- Leases what ready.sql found in this transaction; ?1 = their ids as a JSON array, ?2 = the run.
UPDATE jobs SET run_id = ?2, attempts = attempts + 1
FROM jsonb_each(?1) AS b
WHERE jobs.id = b.value
