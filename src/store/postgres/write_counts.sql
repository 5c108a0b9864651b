-- Moves the kept counts; one array a column; lock_kept.sql is taken before.
INSERT INTO counts (state, error_type, n)
SELECT b.state, b.error_type, coalesce(c.n, 0) + b.n
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS b(state, error_type, n)
LEFT JOIN counts AS c ON c.state = b.state AND c.error_type = b.error_type
ON CONFLICT (state, error_type) DO UPDATE SET n = excluded.n
