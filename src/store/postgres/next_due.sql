-- When the first job falls due that nobody holds, by the first entry of the ready index in each state; where there is none, but another
-- worker holds one: $2, for should it die, that job is there to be done. $1 = the run, 0 = none. Null where there is nothing to do.
-- One statement, so of one moment: between two, a job could come free unseen.
SELECT coalesce(
    least(
        (SELECT due_at_us FROM jobs WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'pending'
         ORDER BY due_at_us LIMIT 1),
        (SELECT due_at_us FROM jobs WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'fetched'
         ORDER BY due_at_us LIMIT 1)),
    CASE WHEN $1::bigint <> 0 AND EXISTS (SELECT 1 FROM jobs WHERE run_id IS NOT NULL AND run_id <> $1) THEN $2::bigint END)
