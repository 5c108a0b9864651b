-- What the attempts measured; ?1 = JSON array of rows, ?2 = the run. A later write-back of the same claim says more.
INSERT INTO attempts (job_id, attempt, run_id, started_at_us, rate_wait_us, ttfb_us, fetch_us, queue_us, process_us,
                      latency_us, within_sla, status_code, bytes, error_type, error_message)
SELECT b.value ->> 0, b.value ->> 1, ?2, b.value ->> 2, b.value ->> 3, b.value ->> 4, b.value ->> 5, b.value ->> 6,
       b.value ->> 7, b.value ->> 8, b.value ->> 9, b.value ->> 10, b.value ->> 11, b.value ->> 12, b.value ->> 13
FROM jsonb_each(?1) AS b
WHERE true
ON CONFLICT (job_id, attempt) DO UPDATE SET
    started_at_us = excluded.started_at_us, rate_wait_us = excluded.rate_wait_us, ttfb_us = excluded.ttfb_us,
    fetch_us = excluded.fetch_us, queue_us = excluded.queue_us, process_us = excluded.process_us,
    latency_us = excluded.latency_us, within_sla = excluded.within_sla, status_code = excluded.status_code,
    bytes = excluded.bytes, error_type = excluded.error_type, error_message = excluded.error_message
