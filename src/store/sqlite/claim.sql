-- Leases what is due: fetched jobs first (nearly done, and they need no permit), then retries that fell due, then fresh
-- jobs in import order. The two `IS NULL` let SQLite prove the partial index `jobs_ready`; one ORDER BY over all would sort
-- everything that is pending.
UPDATE jobs SET run_id = ?1, attempts = attempts + 1
WHERE id IN (
    SELECT id FROM (
        SELECT id FROM jobs
        WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'fetched' AND due_at_us <= ?2
        ORDER BY due_at_us, id LIMIT ?3)
    UNION ALL
    SELECT id FROM (
        SELECT id FROM (
            SELECT id FROM jobs
            WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'pending' AND due_at_us BETWEEN 1 AND ?2
            ORDER BY due_at_us, id LIMIT ?4)
        UNION ALL
        SELECT id FROM (
            SELECT id FROM jobs
            WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'pending' AND due_at_us = 0
            ORDER BY id LIMIT ?4)
        LIMIT ?4)
    LIMIT ?3)
RETURNING id, attempts, key, state, failures, generation, crashes, error_type = 'interrupted' AS suspect, due_at_us
