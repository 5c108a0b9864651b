-- The attempts of the jobs that came last, $1 at most: a trial, or how it goes lately. By the primary key, backwards.
SELECT job_id, rate_wait_us IS NOT NULL, fetch_us, process_us, latency_us FROM attempts
ORDER BY job_id DESC, attempt DESC
LIMIT $1
