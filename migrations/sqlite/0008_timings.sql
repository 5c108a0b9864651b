-- A job that was processed again still says how long its request took.

PRAGMA user_version = 8;

DROP VIEW job_view;

-- As before, but that what is told of the request (when it was sent, how long it took, whether it was in time) is that of the
-- last attempt that sent one: a later claim may only have processed what was stored.
CREATE VIEW job_view AS
SELECT
    j.id,
    j.key,
    j.state,
    j.run_id IS NOT NULL AS running,  -- a run works on it now, or died while it did
    j.import_id,
    j.line,
    j.attempts,
    j.failures,
    j.crashes,
    r.method,
    r.url,
    -- A request without an answer may have followed one that is stored.
    coalesce(s.status_code, p.status_code) AS status_code,
    j.error_type,
    j.error_message,
    strftime('%Y-%m-%dT%H:%M:%S', j.created_at_us / 1000000, 'unixepoch')
        || printf('.%06dZ', j.created_at_us % 1000000) AS created_at,
    CASE WHEN j.due_at_us > 0 THEN
        strftime('%Y-%m-%dT%H:%M:%S', j.due_at_us / 1000000, 'unixepoch')
            || printf('.%06dZ', j.due_at_us % 1000000) END AS due_at,
    strftime('%Y-%m-%dT%H:%M:%S', s.started_at_us / 1000000, 'unixepoch')
        || printf('.%06dZ', s.started_at_us % 1000000) AS started_at,
    strftime('%Y-%m-%dT%H:%M:%S', j.finished_at_us / 1000000, 'unixepoch')
        || printf('.%06dZ', j.finished_at_us % 1000000) AS finished_at,
    s.rate_wait_us / 1000.0 AS rate_wait_ms,
    s.ttfb_us / 1000.0 AS ttfb_ms,
    s.fetch_us / 1000.0 AS fetch_ms,
    a.queue_us / 1000.0 AS queue_ms,
    a.process_us / 1000.0 AS process_ms,
    s.latency_us / 1000.0 AS latency_ms,
    s.within_sla,
    s.bytes,
    r.row,
    r.headers AS request_headers,
    r.body AS request_body,
    p.headers AS response_headers,
    p.body,
    p.body_encoding,
    o.output AS result,
    o.processor
FROM jobs AS j
LEFT JOIN requests AS r ON r.job_id = j.id
-- The last attempt that is written down; one that is under way has no row yet.
LEFT JOIN attempts AS a ON a.job_id = j.id AND a.attempt = (SELECT max(attempt) FROM attempts WHERE job_id = j.id)
-- The last attempt that sent something.
LEFT JOIN attempts AS s ON s.job_id = j.id AND s.attempt = (
    SELECT max(attempt) FROM attempts WHERE job_id = j.id AND rate_wait_us IS NOT NULL)
LEFT JOIN responses AS p ON p.job_id = j.id
LEFT JOIN results AS o ON o.job_id = j.id;
