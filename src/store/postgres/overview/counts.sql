-- Kept, not counted: the same few rows at ten jobs and at ten million.
SELECT state, error_type <> '' AS troubled, sum(n)::bigint FROM counts GROUP BY state, troubled
