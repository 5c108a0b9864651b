-- New jobs are numbered from here.
SELECT coalesce((SELECT id FROM jobs ORDER BY id DESC LIMIT 1), 0)
