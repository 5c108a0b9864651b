-- Responses; one array a column.
INSERT INTO responses (job_id, attempt, status_code, headers, body, body_bytes, fetched_at_us, body_encoding)
SELECT * FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::text[], $5::text[], $6::bytea[], $7::bigint[], $8::text[])
ON CONFLICT (job_id) DO UPDATE SET
    attempt = excluded.attempt, status_code = excluded.status_code, headers = excluded.headers, body = excluded.body,
    body_bytes = excluded.body_bytes, body_encoding = excluded.body_encoding, fetched_at_us = excluded.fetched_at_us
