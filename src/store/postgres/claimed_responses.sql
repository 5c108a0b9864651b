-- The stored responses of fetched jobs just claimed; $1 = their ids.
SELECT r.job_id, r.status_code, r.headers, r.body, r.body_bytes, r.fetched_at_us, r.body_encoding
FROM unnest($1::bigint[]) AS claimed(id)
JOIN responses AS r ON r.job_id = claimed.id
