-- An import begins; $1 = source, $2 = template or null, $3 = now.
INSERT INTO imports (source, template, started_at_us, after_run_id)
VALUES ($1, $2, $3, (SELECT coalesce(max(id), 0) FROM runs))
RETURNING id
