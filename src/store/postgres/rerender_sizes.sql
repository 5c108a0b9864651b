-- The next jobs and how much they hold, so that no more is read at once than is meant; $1 = the last one before them.
SELECT job_id, (octet_length(url) + octet_length(headers) + octet_length(row) + coalesce(octet_length(body), 0)
                + coalesce(octet_length(body_bytes), 0))::bigint
FROM requests WHERE job_id > $1 ORDER BY job_id LIMIT 1000
