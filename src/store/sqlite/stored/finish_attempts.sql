-- Their attempts; ?1 = JSON array of [job, attempt, began, waited for a CPU, took, ..], ?2 = the run. As in write_attempts.sql, what
-- an earlier write-back of the same claim wrote gives way.
INSERT INTO attempts (job_id, attempt, run_id, started_at_us, queue_us, process_us)
SELECT b.value ->> 0, b.value ->> 1, ?2, b.value ->> 2, b.value ->> 3, b.value ->> 4
FROM jsonb_each(?1) AS b
WHERE true
ON CONFLICT (job_id, attempt) DO UPDATE SET
    started_at_us = excluded.started_at_us, rate_wait_us = NULL, ttfb_us = NULL, fetch_us = NULL, queue_us = excluded.queue_us,
    process_us = excluded.process_us, latency_us = NULL, within_sla = NULL, status_code = NULL, bytes = NULL,
    error_type = NULL, error_message = NULL
