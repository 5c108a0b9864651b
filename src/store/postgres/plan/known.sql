-- Rows of an import whose key is known: whether the job asks something else, and whether it was sent, as unsent.sql has it. One array
-- a column, as in import_conflicts.sql.
SELECT
    b.n - 1,
    r.method <> b.method OR r.url <> b.url OR r.headers <> b.headers
        OR r.body IS DISTINCT FROM b.body OR r.body_bytes IS DISTINCT FROM b.body_bytes,
    NOT (j.state = 'pending' AND j.run_id IS NULL
        AND (j.attempts = 0 OR NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.job_id = j.id)))
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[])
    WITH ORDINALITY AS b(key, method, url, headers, body, body_bytes, n)
JOIN jobs AS j ON j.key = b.key
JOIN requests AS r ON r.job_id = j.id
