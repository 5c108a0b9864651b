-- The fence, once a batch: which write-backs still hold their lease, and where those jobs stand. ?1 = JSON array of
-- [job, attempt, ..], ?2 = the run. One row: an array in the order of the batch, '' where the lease is stale.
-- `+run_id`, because otherwise SQLite walks the index of leases for each row.
SELECT json_group_array(coalesce(j.state || ' ' || coalesce(j.error_type, ''), ''))
FROM jsonb_each(?1) AS b
LEFT JOIN jobs AS j ON j.id = b.value ->> 0 AND j.attempts = b.value ->> 1 AND +j.run_id = ?2
