-- When the first job falls due that nobody holds, by the first entry of the ready index in each state; null where there is none.
SELECT least(
    (SELECT due_at_us FROM jobs WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'pending'
     ORDER BY due_at_us LIMIT 1),
    (SELECT due_at_us FROM jobs WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'fetched'
     ORDER BY due_at_us LIMIT 1))
