-- Results in time of a run; ?1 = the minute in which it began, ?2 = the run. No row where it had no SLA. A range of the primary
-- key of `minutes`, less what its first minute held before it.
WITH counted AS (
    SELECT n, late FROM minutes WHERE minute_at_us >= ?1 AND stage = 'latency'
    UNION ALL
    SELECT -(b.value ->> 2), -coalesce(b.value ->> 3, 0)
    FROM runs AS r, json_each(r.minute_before) AS b
    WHERE r.id = ?2 AND b.value ->> 0 = 'latency'
),
summed AS (
    SELECT sum(n) AS n, sum(late) AS late FROM counted
)
SELECT
    1000.0 * (r.settings ->> '$.sla.secs') + (r.settings ->> '$.sla.nanos') / 1e6,
    n - late,
    late,
    round(100.0 * (n - late) / n, 3)
FROM summed CROSS JOIN runs AS r ON r.id = ?2
WHERE n > 0 AND r.settings ->> '$.sla' IS NOT NULL
