-- Gives leases back under which nothing was sent; ?1 = JSON array of [job, attempt], ?2 = the run. They were due.
-- NOT INDEXED, or SQLite may walk the index of leases for each row.
UPDATE jobs NOT INDEXED SET run_id = NULL, due_at_us = 0
FROM jsonb_each(?1) AS b
WHERE jobs.id = b.value ->> 0 AND jobs.attempts = b.value ->> 1 AND jobs.run_id = ?2
