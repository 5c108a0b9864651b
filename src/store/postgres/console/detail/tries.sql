-- The last attempts at a job, the newest first; $1 = its id. Bounded: a server that always says 429 costs a job nothing.
SELECT attempt, run_id, started_at_us, rate_wait_us / 1000.0::double precision, ttfb_us / 1000.0::double precision,
    fetch_us / 1000.0::double precision, queue_us / 1000.0::double precision, process_us / 1000.0::double precision,
    latency_us / 1000.0::double precision, within_sla, status_code, bytes, error_type, error_message
FROM attempts
WHERE job_id = $1::text::bigint
ORDER BY attempt DESC
LIMIT 1000
