-- Who has these keys already; ?1 = JSON array of [job, key].
SELECT b.key, j.id FROM jsonb_each(?1) AS b CROSS JOIN jobs AS j ON j.key = b.value ->> 1
