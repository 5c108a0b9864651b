-- What a processor needs of the jobs just leased; ?1 = their ids as a JSON array. One row: numbers as a JSON array a job, all
-- texts one after the other, and all bodies so. Neither is written as JSON on the way, or read as such; the numbers tell where
-- one ends and the next begins.
SELECT
    json_group_array(json_array(
        j.id, j.attempts, j.failures, j.generation, j.crashes, j.was, j.error_type IS 'interrupted',
        p.status_code, p.fetched_at_us, p.body_encoding,
        octet_length(j.key), octet_length(r.method), octet_length(r.url), octet_length(r.headers), octet_length(r.row),
        octet_length(p.headers), octet_length(r.body), octet_length(p.body))),
    CAST(group_concat(concat(j.key, r.method, r.url, r.headers, r.row, p.headers), '') AS BLOB),
    CAST(group_concat(concat(r.body, p.body), '') AS BLOB)
FROM jsonb_each(?1) AS claimed
CROSS JOIN jobs AS j ON j.id = claimed.value
CROSS JOIN requests AS r ON r.job_id = j.id
CROSS JOIN responses AS p ON p.job_id = j.id
