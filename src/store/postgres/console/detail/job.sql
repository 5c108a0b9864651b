-- One job and all that belongs to it, each by a primary key; $1 = its id. It begins as every result line does.
SELECT
    v.id, v.key, v.state, v.method, v.url, v.attempts, v.status_code, v.started_at, v.rate_wait_ms, v.ttfb_ms, v.fetch_ms,
    v.queue_ms, v.process_ms, v.latency_ms, v.within_sla, v.bytes, v.error_type, v.error_message, v.row, v.result,
    v.running, v.created_at, v.due_at, v.finished_at, v.processor, i.source, v.line, v.url, v.request_headers,
    coalesce(v.request_body_bytes, convert_to(v.request_body, 'UTF8')) AS request_body, p.status_code, p.headers,
    coalesce(p.body_bytes, convert_to(p.body, 'UTF8')) AS body, p.body_encoding
FROM job_view AS v
JOIN imports AS i ON i.id = v.import_id
LEFT JOIN responses AS p ON p.job_id = v.id
WHERE v.id = $1::text::bigint
