-- What the new jobs say; ?1, ?2 as in import_jobs.sql, ?3 = all bodies.
INSERT INTO requests (job_id, method, url, headers, row, body)
SELECT j.id, b.value ->> 2, b.value ->> 3, b.value ->> 4, b.value ->> 5,
       CASE b.value ->> 8 WHEN 1 THEN CAST(substr(?3, (b.value ->> 6) + 1, b.value ->> 7) AS TEXT)
                          WHEN 0 THEN substr(?3, (b.value ->> 6) + 1, b.value ->> 7) END
FROM jsonb_each(?1) AS b CROSS JOIN jobs AS j ON j.id = ?2 + 1 + b.key
