-- Whether another worker holds a job: should it die, that job is there to be done; $1 = the run.
SELECT EXISTS (SELECT 1 FROM jobs WHERE run_id IS NOT NULL AND run_id <> $1)
