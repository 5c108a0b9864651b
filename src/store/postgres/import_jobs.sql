-- Jobs with new keys; $1 = keys, $2 = lines, $3 = last id before them, $4 = import, $5 = now.
-- The ids are given here, so that requests find their jobs without a look-up by key. Gives the ids of those that were new.
INSERT INTO jobs (id, key, import_id, line, created_at_us)
SELECT $3 + b.n, b.key, $4, b.line, $5
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS b(key, line, n)
ORDER BY b.n
ON CONFLICT (key) DO NOTHING
RETURNING id
