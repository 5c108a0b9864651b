-- The view `latency`, from a minute on: ?1 = the one in which the run began.
WITH buckets AS (
    SELECT stage, up_to_us, sum(n) AS n FROM minutes WHERE minute_at_us >= ?1 GROUP BY stage, up_to_us
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
