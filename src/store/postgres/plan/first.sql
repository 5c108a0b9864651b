-- The jobs that a run sends first, $1 at most. In the order of jobs_ready, as a claim takes them.
SELECT r.method, r.url, r.headers, r.body, r.body_bytes
FROM jobs AS j
JOIN requests AS r ON r.job_id = j.id
WHERE j.run_id IS NULL AND j.finished_at_us IS NULL AND j.state = 'pending'
ORDER BY j.due_at_us, j.id
LIMIT $1
