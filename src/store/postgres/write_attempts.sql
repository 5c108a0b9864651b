-- What the attempts measured; one array a column, $15 = the run. A later write-back of the same claim says more.
INSERT INTO attempts (job_id, attempt, run_id, started_at_us, rate_wait_us, ttfb_us, fetch_us, queue_us, process_us,
                      latency_us, within_sla, status_code, bytes, error_type, error_message)
SELECT b.job, b.attempt, $15, b.started_at_us, b.rate_wait_us, b.ttfb_us, b.fetch_us, b.queue_us, b.process_us,
       b.latency_us, b.within_sla, b.status_code, b.bytes, b.error_type, b.error_message
FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::bigint[], $10::integer[], $11::integer[], $12::bigint[], $13::text[], $14::text[])
    AS b(job, attempt, started_at_us, rate_wait_us, ttfb_us, fetch_us, queue_us, process_us, latency_us, within_sla,
         status_code, bytes, error_type, error_message)
ON CONFLICT (job_id, attempt) DO UPDATE SET
    started_at_us = excluded.started_at_us, rate_wait_us = excluded.rate_wait_us, ttfb_us = excluded.ttfb_us,
    fetch_us = excluded.fetch_us, queue_us = excluded.queue_us, process_us = excluded.process_us,
    latency_us = excluded.latency_us, within_sla = excluded.within_sla, status_code = excluded.status_code,
    bytes = excluded.bytes, error_type = excluded.error_type, error_message = excluded.error_message
