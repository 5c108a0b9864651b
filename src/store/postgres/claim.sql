-- What is due, to be leased in this transaction: fetched jobs first (nearly done, and they need no permit), then retries that
-- fell due, then fresh jobs in import order; $1 = now, $2 = at most so many, $3 = of which so many requests, $4 = the run: one that
-- another has taken for dead gets nothing. What another worker is just claiming is left out, not waited for.
-- Each part walks the partial index `jobs_ready` in its order, and stops at its limit.
WITH fetched AS (
    SELECT id FROM jobs
    WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'fetched' AND due_at_us <= $1
    ORDER BY due_at_us, id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
),
retries AS (
    SELECT id FROM jobs
    WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'pending' AND due_at_us BETWEEN 1 AND $1
    ORDER BY due_at_us, id LIMIT least($3, $2 - (SELECT count(*) FROM fetched)) FOR NO KEY UPDATE SKIP LOCKED
),
fresh AS (
    SELECT id FROM jobs
    WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'pending' AND due_at_us = 0
    ORDER BY id LIMIT least($3, $2 - (SELECT count(*) FROM fetched)) - (SELECT count(*) FROM retries)
    FOR NO KEY UPDATE SKIP LOCKED
),
ready AS (
    SELECT id, 0 AS stage FROM fetched UNION ALL SELECT id, 1 FROM retries UNION ALL SELECT id, 2 FROM fresh
)
SELECT j.id, j.attempts + 1, j.key, j.state, j.failures, j.generation, j.crashes, j.was,
       j.error_type IS NOT DISTINCT FROM 'interrupted', r.method, r.url, r.headers, r.row, r.body, r.body_bytes
FROM ready
JOIN jobs AS j ON j.id = ready.id
JOIN requests AS r ON r.job_id = ready.id
WHERE (SELECT ended_at_us IS NULL FROM runs WHERE id = $4)
ORDER BY ready.stage, j.due_at_us, j.id
