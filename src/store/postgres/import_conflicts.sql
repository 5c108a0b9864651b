-- Rows whose key is known with another request, and to which that matters: not those that skip it (1). Where the request is to be
-- replaced (2) another row matters too; the third column tells which of the two it is. $1 = places in the chunk, $2 = last id before
-- it; then one array a column. Two JSON texts are the same where they are, but for white space.
SELECT b.n, j.id, d.other
FROM unnest($1::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[], $10::integer[])
    AS b(n, key, method, url, headers, row, body, body_bytes, rule)
JOIN jobs AS j ON j.key = b.key AND j.id <> $2 + b.n
JOIN requests AS r ON r.job_id = j.id
CROSS JOIN LATERAL (SELECT r.method <> b.method OR r.url <> b.url OR r.headers <> b.headers
    OR r.body IS DISTINCT FROM b.body OR r.body_bytes IS DISTINCT FROM b.body_bytes) AS d(other)
WHERE b.rule <> 1 AND (d.other OR (b.rule = 2 AND r.row <> b.row))
ORDER BY b.n
