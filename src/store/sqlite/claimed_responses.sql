-- The stored responses of fetched jobs just claimed; ?1 = their ids as a JSON array.
SELECT r.job_id, r.status_code, r.headers, r.body, r.fetched_at_us, r.body_encoding
FROM jsonb_each(?1) AS claimed CROSS JOIN responses AS r ON r.job_id = claimed.value
