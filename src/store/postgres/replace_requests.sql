-- What jobs say from now on; one array a column.
UPDATE requests SET method = b.method, url = b.url, headers = b.headers, row = b.row, body = b.body, body_bytes = b.body_bytes
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
    AS b(job, method, url, headers, row, body, body_bytes)
WHERE requests.job_id = b.job
