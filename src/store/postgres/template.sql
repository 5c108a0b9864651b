-- How the newest import that says so made its requests, and whether it began after the last run.
SELECT template, after_run_id = (SELECT coalesce(max(id), 0) FROM runs)
FROM imports WHERE template IS NOT NULL ORDER BY id DESC LIMIT 1
