-- The first entry of the ready index among the jobs whose response is stored; null where there is none.
SELECT min(due_at_us) FROM (SELECT due_at_us FROM jobs
    WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'fetched' ORDER BY due_at_us LIMIT 1)
