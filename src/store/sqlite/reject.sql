-- Rows that made no job; ?1 = JSON array of [line, reason, text], ?2 = import.
INSERT INTO rejected (import_id, line, reason, text)
SELECT ?2, b.value ->> 0, b.value ->> 1, b.value ->> 2 FROM jsonb_each(?1) AS b
WHERE true
ON CONFLICT (import_id, line) DO NOTHING
