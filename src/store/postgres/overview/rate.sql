-- $1 = the minute in which the run began, $2 = the minute of now, $3 = the run. Requests and results of all workers: since it began, in
-- this minute, in the one before. A range of the primary key of `minutes`; it grows with the time, not with the jobs.
WITH counted AS (
    SELECT minute_at_us, stage, n FROM minutes WHERE minute_at_us >= $1 AND stage IN ('rate_wait', 'latency')
    UNION ALL
    SELECT $1, b.value ->> 0, -(b.value ->> 2)::bigint
    FROM runs AS r CROSS JOIN LATERAL json_array_elements(r.minute_before::json) AS b(value)
    WHERE r.id = $3 AND b.value ->> 0 IN ('rate_wait', 'latency')
)
SELECT
    stage,
    greatest(sum(n), 0)::bigint,
    greatest(sum(CASE WHEN minute_at_us = $2 THEN n ELSE 0 END), 0)::bigint,
    greatest(sum(CASE WHEN minute_at_us = $2 - 60000000 THEN n ELSE 0 END), 0)::bigint
FROM counted
GROUP BY stage
