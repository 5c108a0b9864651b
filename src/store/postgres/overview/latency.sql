-- The view `latency`, since a run began: $1 = the minute in which it did, $2 = the run.
WITH counted AS (
    SELECT stage, up_to_us, n FROM minutes WHERE minute_at_us >= $1
    UNION ALL
    SELECT b.value ->> 0, (b.value ->> 1)::bigint, -(b.value ->> 2)::bigint
    FROM runs AS r CROSS JOIN LATERAL json_array_elements(r.minute_before::json) AS b(value)
    WHERE r.id = $2
),
buckets AS (
    SELECT stage, up_to_us, sum(n) AS n FROM counted GROUP BY stage, up_to_us HAVING sum(n) > 0
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
    max(total)::bigint,
    min(CASE WHEN so_far >= 0.50 * total THEN up_to_us END) / 1000.0::double precision,
    min(CASE WHEN so_far >= 0.90 * total THEN up_to_us END) / 1000.0::double precision,
    min(CASE WHEN so_far >= 0.99 * total THEN up_to_us END) / 1000.0::double precision,
    max(up_to_us) / 1000.0::double precision
FROM ranked
GROUP BY stage
ORDER BY strpos('rate_wait ttfb fetch queue process latency', stage)
