-- All there is to say of the last runs; ?1 = so many. What a run did are the minutes up to the next one, and what these two
-- found in their first minute tells apart whose it is.
WITH following AS (
    SELECT
        id, started_at_us, ended_at_us, heartbeat_at_us, outcome, host, pid, version, settings, minute_before,
        started_at_us - started_at_us % 60000000 AS from_us,
        lead(started_at_us - started_at_us % 60000000) OVER (ORDER BY id) AS until_us,
        lead(minute_before) OVER (ORDER BY id) AS next_before
    FROM runs
),
counted AS (
    SELECT
        *,
        (SELECT json_array(
             sum(CASE stage WHEN 'rate_wait' THEN n ELSE 0 END), sum(CASE stage WHEN 'latency' THEN n ELSE 0 END), sum(late))
         FROM minutes
         WHERE minute_at_us >= from_us AND minute_at_us < coalesce(until_us, 9e18) AND stage IN ('rate_wait', 'latency')
        ) AS within,
        (SELECT json_array(
             sum(CASE b.value ->> 0 WHEN 'rate_wait' THEN b.value ->> 2 ELSE 0 END),
             sum(CASE b.value ->> 0 WHEN 'latency' THEN b.value ->> 2 ELSE 0 END),
             sum(coalesce(b.value ->> 3, 0)))
         FROM json_each(minute_before) AS b) AS before,
        (SELECT json_array(
             sum(CASE b.value ->> 0 WHEN 'rate_wait' THEN b.value ->> 2 ELSE 0 END),
             sum(CASE b.value ->> 0 WHEN 'latency' THEN b.value ->> 2 ELSE 0 END),
             sum(coalesce(b.value ->> 3, 0)))
         FROM json_each(next_before) AS b) AS after
    FROM following
    ORDER BY id DESC
    LIMIT ?1
)
SELECT
    id, started_at_us, ended_at_us, heartbeat_at_us, outcome, host, pid, version, settings,
    coalesce(within ->> 0, 0) - coalesce(before ->> 0, 0) + coalesce(after ->> 0, 0),
    coalesce(within ->> 1, 0) - coalesce(before ->> 1, 0) + coalesce(after ->> 1, 0),
    coalesce(within ->> 2, 0) - coalesce(before ->> 2, 0) + coalesce(after ->> 2, 0)
FROM counted
ORDER BY id
