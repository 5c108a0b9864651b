-- Responses; ?1 = JSON array of [job, attempt, status, headers, offset, length, is text, fetched at, encoding], ?2 = all bodies.
INSERT INTO responses (job_id, attempt, status_code, headers, body, fetched_at_us, body_encoding)
SELECT b.value ->> 0, b.value ->> 1, b.value ->> 2, b.value ->> 3,
       CASE b.value ->> 6 WHEN 1 THEN CAST(substr(?2, (b.value ->> 4) + 1, b.value ->> 5) AS TEXT)
                          ELSE substr(?2, (b.value ->> 4) + 1, b.value ->> 5) END,
       b.value ->> 7, b.value ->> 8
FROM jsonb_each(?1) AS b
WHERE true
ON CONFLICT (job_id) DO UPDATE SET
    attempt = excluded.attempt, status_code = excluded.status_code, headers = excluded.headers, body = excluded.body,
    body_encoding = excluded.body_encoding, fetched_at_us = excluded.fetched_at_us
