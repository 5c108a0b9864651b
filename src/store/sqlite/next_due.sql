-- The first entry of the ready index in each state; no row where nobody's job has work left.
SELECT min(due_at_us) FROM (
    SELECT due_at_us FROM (SELECT due_at_us FROM jobs
        WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'pending' ORDER BY due_at_us LIMIT 1)
    UNION ALL
    SELECT due_at_us FROM (SELECT due_at_us FROM jobs
        WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'fetched' ORDER BY due_at_us LIMIT 1))
