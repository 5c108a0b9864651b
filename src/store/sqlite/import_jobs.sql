-- Jobs with new keys; ?1 = JSON array of rows, ?2 = last id before them, ?3 = import, ?4 = now.
-- The ids are given here, so that requests find their jobs without a look-up by key.
INSERT INTO jobs (id, key, import_id, line, created_at_us)
SELECT ?2 + 1 + b.key, b.value ->> 0, ?3, b.value ->> 1, ?4 FROM jsonb_each(?1) AS b
WHERE true
ON CONFLICT (key) DO NOTHING
