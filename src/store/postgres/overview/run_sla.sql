-- Results in time since a run began; $1 = the minute in which it did, $2 = the run. No row where it had no SLA. A range of the
-- primary key of `minutes`, less what its first minute held before it.
WITH counted AS (
    SELECT n, late FROM minutes WHERE minute_at_us >= $1 AND stage = 'latency'
    UNION ALL
    SELECT -(b.value ->> 2)::bigint, -coalesce((b.value ->> 3)::bigint, 0)
    FROM runs AS r CROSS JOIN LATERAL json_array_elements(r.minute_before::json) AS b(value)
    WHERE r.id = $2 AND b.value ->> 0 = 'latency'
),
summed AS (
    SELECT sum(n)::bigint AS n, sum(late)::bigint AS late FROM counted
)
SELECT
    (1000.0 * (r.settings::json #>> '{sla,secs}')::numeric + (r.settings::json #>> '{sla,nanos}')::numeric / 1e6)::double precision,
    n - late,
    late,
    round(100.0 * (n - late) / n, 3)::double precision
FROM summed JOIN runs AS r ON r.id = $2
WHERE n > 0 AND r.settings::json #>> '{sla,secs}' IS NOT NULL
