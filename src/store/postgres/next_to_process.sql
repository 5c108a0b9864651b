-- The same among the jobs whose response is stored.
SELECT (SELECT due_at_us FROM jobs WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'fetched'
        ORDER BY due_at_us LIMIT 1)
