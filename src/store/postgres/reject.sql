-- Rows that made no job; $1 = lines, $2 = reasons, $3 = texts, $4 = import.
INSERT INTO rejected (import_id, line, reason, text)
SELECT $4, b.line, b.reason, b.text
FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY AS b(line, reason, text, n)
ORDER BY b.n
ON CONFLICT (import_id, line) DO NOTHING
