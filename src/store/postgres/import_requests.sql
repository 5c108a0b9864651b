-- What new jobs say; one array a column.
INSERT INTO requests (job_id, method, url, headers, row, body, body_bytes)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
