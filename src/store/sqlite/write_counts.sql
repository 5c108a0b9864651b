-- Moves the kept counts; ?1 = JSON array of [state, error type or '', difference].
INSERT INTO counts (state, error_type, n)
SELECT b.value ->> 0, b.value ->> 1, coalesce(c.n, 0) + (b.value ->> 2)
FROM jsonb_each(?1) AS b
LEFT JOIN counts AS c ON c.state = b.value ->> 0 AND c.error_type = b.value ->> 1
WHERE true
ON CONFLICT (state, error_type) DO UPDATE SET n = excluded.n
