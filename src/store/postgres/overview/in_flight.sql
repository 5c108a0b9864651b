-- As many rows as jobs are leased, out of jobs_leased: at most the concurrency of all workers.
SELECT count(*), count(error_type) FROM jobs WHERE run_id IS NOT NULL
