-- What is due, to be leased in this transaction: fetched jobs first (nearly done, and they need no permit), then retries
-- that fell due, then fresh jobs in import order; ?1 = now, ?2 = at most so many, ?3 = of which so many requests,
-- ?4 = the run: one that another run has ended gets nothing, or what it took would be left behind.
-- The two `IS NULL` let SQLite prove the partial index `jobs_ready`; one ORDER BY over all would sort everything that is
-- pending. A bare `LIMIT ?` would have SQLite plan anew for each value; `+ 0` hides it. One row for all of them: each row would
-- wake the caller.
SELECT json_group_array(json_array(
    j.id, j.attempts + 1, j.key, j.state, j.failures, j.generation, j.crashes, j.was, j.error_type IS 'interrupted',
    r.method, r.url, r.headers, r.row, iif(typeof(r.body) = 'text', r.body, NULL), typeof(r.body) = 'blob'))
FROM (
    SELECT id FROM (
        SELECT id FROM jobs
        WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'fetched' AND due_at_us <= ?1
        ORDER BY due_at_us, id LIMIT ?2 + 0)
    UNION ALL
    SELECT id FROM (
        SELECT id FROM (
            SELECT id FROM jobs
            WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'pending' AND due_at_us BETWEEN 1 AND ?1
            ORDER BY due_at_us, id LIMIT ?3 + 0)
        UNION ALL
        SELECT id FROM (
            SELECT id FROM jobs
            WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'pending' AND due_at_us = 0
            ORDER BY id LIMIT ?3 + 0)
        LIMIT ?3 + 0)
    LIMIT ?2 + 0) AS ready
CROSS JOIN jobs AS j ON j.id = ready.id
CROSS JOIN requests AS r ON r.job_id = ready.id
WHERE (SELECT ended_at_us IS NULL FROM runs WHERE id = ?4)
