-- What jobs say from now on; ?1 = JSON array of [job, method, url, headers, row, offset, length, text], ?2 = all bodies.
UPDATE requests SET method = b.value ->> 1, url = b.value ->> 2, headers = b.value ->> 3, row = b.value ->> 4,
    body = CASE b.value ->> 7 WHEN 1 THEN CAST(substr(?2, (b.value ->> 5) + 1, b.value ->> 6) AS TEXT)
                              WHEN 0 THEN substr(?2, (b.value ->> 5) + 1, b.value ->> 6) END
FROM jsonb_each(?1) AS b
WHERE requests.job_id = b.value ->> 0
