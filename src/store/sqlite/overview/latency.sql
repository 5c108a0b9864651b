-- The view `latency`, of a run: ?1 = the minute in which it began, ?2 = the run.
WITH counted AS (
    SELECT stage, up_to_us, n FROM minutes WHERE minute_at_us >= ?1
    UNION ALL
    SELECT b.value ->> 0, b.value ->> 1, -(b.value ->> 2)
    FROM runs AS r, json_each(r.minute_before) AS b
    WHERE r.id = ?2
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
    total,
    min(CASE WHEN so_far >= 0.50 * total THEN up_to_us END) / 1000.0,
    min(CASE WHEN so_far >= 0.90 * total THEN up_to_us END) / 1000.0,
    min(CASE WHEN so_far >= 0.99 * total THEN up_to_us END) / 1000.0,
    max(up_to_us) / 1000.0
FROM ranked
GROUP BY stage
ORDER BY instr('rate_wait ttfb fetch queue process latency', stage)
