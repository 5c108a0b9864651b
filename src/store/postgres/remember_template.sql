-- From now on requests are made so, as if what was imported last had been imported once more; $1 = template, $2 = now.
INSERT INTO imports (source, template, started_at_us, after_run_id)
VALUES (coalesce((SELECT source FROM imports ORDER BY id DESC LIMIT 1), '-'), $1, $2, (SELECT coalesce(max(id), 0) FROM runs))
