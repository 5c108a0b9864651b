-- Views for people: what `haul query` is about, by the same names as in a file. Times are ISO-8601 UTC, durations milliseconds.

-- Everything about a job in one row. Every join is to at most one row of a primary key, so those that a query does not read are
-- left out, but for the attempts. What is told of the request (when it was sent, how long it took, whether it was in time) is that
-- of the last attempt that sent one: a later claim may only have processed what was stored.
CREATE VIEW job_view AS
SELECT
    j.id,
    j.key,
    j.state,
    (j.run_id IS NOT NULL)::integer AS running,  -- a run works on it now, or died while it did
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
    to_char(timestamp 'epoch' + j.created_at_us * interval '1 microsecond', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at,
    CASE WHEN j.due_at_us > 0 THEN
        to_char(timestamp 'epoch' + j.due_at_us * interval '1 microsecond', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END AS due_at,
    to_char(timestamp 'epoch' + s.started_at_us * interval '1 microsecond', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS started_at,
    to_char(timestamp 'epoch' + j.finished_at_us * interval '1 microsecond', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS finished_at,
    s.rate_wait_us / 1000.0::double precision AS rate_wait_ms,
    s.ttfb_us / 1000.0::double precision AS ttfb_ms,
    s.fetch_us / 1000.0::double precision AS fetch_ms,
    a.queue_us / 1000.0::double precision AS queue_ms,
    a.process_us / 1000.0::double precision AS process_ms,
    s.latency_us / 1000.0::double precision AS latency_ms,
    s.within_sla,
    s.bytes,
    r.row,
    r.headers AS request_headers,
    r.body AS request_body,
    r.body_bytes AS request_body_bytes,
    p.headers AS response_headers,
    p.body,
    p.body_bytes,
    p.body_encoding,
    o.output AS result,
    o.processor
FROM jobs AS j
LEFT JOIN requests AS r ON r.job_id = j.id
-- The last attempt that is written down; one that is under way has no row yet.
LEFT JOIN LATERAL (SELECT * FROM attempts WHERE job_id = j.id ORDER BY attempt DESC LIMIT 1) AS a ON true
-- The last attempt that sent something.
LEFT JOIN LATERAL (
    SELECT * FROM attempts WHERE job_id = j.id AND rate_wait_us IS NOT NULL ORDER BY attempt DESC LIMIT 1) AS s ON true
LEFT JOIN responses AS p ON p.job_id = j.id
LEFT JOIN results AS o ON o.job_id = j.id;

-- What goes wrong, most frequent first: kept counts and one look into an index a type, not a walk over the jobs.
CREATE VIEW failures AS
WITH kinds AS (
    SELECT
        error_type,
        sum(n)::bigint AS jobs,
        sum(CASE state WHEN 'failed' THEN n ELSE 0 END)::bigint AS failed,
        sum(CASE state WHEN 'failed' THEN 0 ELSE n END)::bigint AS retrying  -- not given up yet
    FROM counts
    WHERE error_type <> '' AND n > 0 AND state IN ('pending', 'fetched', 'failed')
    GROUP BY error_type
),
examples AS (
    SELECT
        kinds.*,
        coalesce(
            (SELECT max(id) FROM jobs WHERE state = 'failed' AND error_type = kinds.error_type),
            (SELECT max(id) FROM jobs WHERE state IN ('pending', 'fetched') AND error_type = kinds.error_type)
        ) AS example
    FROM kinds
)
SELECT
    e.error_type,
    e.jobs,
    e.failed,
    e.retrying,
    round(100.0 * e.jobs / sum(e.jobs) OVER (), 1)::double precision AS percent,
    j.key AS example_key,
    j.error_message AS example_message
FROM examples AS e
LEFT JOIN jobs AS j ON j.id = e.example
ORDER BY e.jobs DESC, e.error_type;

-- Percentiles by stage out of the histograms: as quick after ten million attempts as after ten, and at most 1/8 too high.
CREATE VIEW latency AS
WITH buckets AS (
    SELECT stage, up_to_us, sum(n)::bigint AS n FROM minutes GROUP BY stage, up_to_us
),
ranked AS (
    SELECT
        stage,
        up_to_us,
        sum(n) OVER (PARTITION BY stage ORDER BY up_to_us) AS so_far,
        sum(n) OVER (PARTITION BY stage) AS total
    FROM buckets
)
SELECT
    stage,
    max(total)::bigint AS n,
    min(CASE WHEN so_far >= 0.50 * total THEN up_to_us END) / 1000.0::double precision AS p50_ms,
    min(CASE WHEN so_far >= 0.90 * total THEN up_to_us END) / 1000.0::double precision AS p90_ms,
    min(CASE WHEN so_far >= 0.99 * total THEN up_to_us END) / 1000.0::double precision AS p99_ms,
    max(up_to_us) / 1000.0::double precision AS max_ms
FROM ranked
GROUP BY stage
ORDER BY strpos('rate_wait ttfb fetch queue process latency', stage);

-- How many results came in time. No row where the last run had no SLA and none was ever missed.
CREATE VIEW sla AS
WITH given AS (
    SELECT (1000.0 * (settings::json #>> '{sla,secs}')::numeric + (settings::json #>> '{sla,nanos}')::numeric / 1e6)::double precision AS sla_ms
    FROM runs
    ORDER BY id DESC
    LIMIT 1
),
counted AS (
    SELECT sum(n)::bigint AS n, sum(late)::bigint AS late FROM minutes WHERE stage = 'latency'
)
SELECT
    (SELECT sla_ms FROM given) AS sla_ms,
    n - late AS within,
    late,
    round(100.0 * (n - late) / n, 3)::double precision AS percent
FROM counted
WHERE n > 0 AND (late > 0 OR (SELECT sla_ms FROM given) IS NOT NULL);

-- A row per minute in which attempts ended. `finished` = results made, `failed` = attempts that failed, retried or not.
CREATE VIEW throughput AS
WITH totals AS (
    SELECT
        minute_at_us,
        sum(CASE stage WHEN 'rate_wait' THEN n ELSE 0 END)::bigint AS requests,
        sum(CASE stage WHEN 'latency' THEN n ELSE 0 END)::bigint AS finished,
        sum(failed)::bigint AS failed,
        sum(late)::bigint AS late
    FROM minutes
    GROUP BY minute_at_us
),
ranked AS (
    SELECT
        minute_at_us,
        up_to_us,
        sum(n) OVER (PARTITION BY minute_at_us ORDER BY up_to_us) AS so_far,
        sum(n) OVER (PARTITION BY minute_at_us) AS total
    FROM minutes
    WHERE stage = 'latency'
),
percentiles AS (
    SELECT
        minute_at_us,
        min(CASE WHEN so_far >= 0.50 * total THEN up_to_us END) / 1000.0::double precision AS p50_ms,
        min(CASE WHEN so_far >= 0.99 * total THEN up_to_us END) / 1000.0::double precision AS p99_ms
    FROM ranked
    GROUP BY minute_at_us
)
SELECT
    to_char(timestamp 'epoch' + t.minute_at_us * interval '1 microsecond', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS minute,
    t.requests,
    t.finished,
    t.failed,
    t.late,
    p.p50_ms,
    p.p99_ms
FROM totals AS t
LEFT JOIN percentiles AS p ON p.minute_at_us = t.minute_at_us
ORDER BY t.minute_at_us;

-- The 20 slowest attempts, by how long they took as far as they came. The one view that walks a large table (attempts, about
-- half a second a million): an index on latency would cost every commit more than this view is worth.
CREATE VIEW slowest AS
WITH top AS (
    SELECT job_id, attempt, coalesce(latency_us, fetch_us, ttfb_us) AS took_us
    FROM attempts
    WHERE coalesce(latency_us, fetch_us, ttfb_us) IS NOT NULL
    ORDER BY took_us DESC
    LIMIT 20
)
SELECT
    t.job_id AS id,
    j.key,
    t.attempt,
    t.took_us / 1000.0::double precision AS took_ms,
    a.ttfb_us / 1000.0::double precision AS ttfb_ms,
    a.fetch_us / 1000.0::double precision AS fetch_ms,
    a.queue_us / 1000.0::double precision AS queue_ms,
    a.process_us / 1000.0::double precision AS process_ms,
    a.status_code,
    a.error_type,
    r.method,
    r.url
FROM top AS t
JOIN attempts AS a USING (job_id, attempt)
JOIN jobs AS j ON j.id = t.job_id
LEFT JOIN requests AS r ON r.job_id = t.job_id
ORDER BY t.took_us DESC;
