-- What counts in each limit, by the clock of this server: the time now; then a row a limit and time at which permits come free within
-- $1 microseconds; and one, under the time at which the first of those comes free, for all that come free later.
WITH now AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us),
live AS (
    SELECT l.name, s.until_us + l.window_us + l.jitter_us AS free_us, s.permits, n.us + $1 AS horizon_us
    FROM now AS n CROSS JOIN limits AS l JOIN spends AS s ON s.limit_name = l.name
    WHERE s.permits > 0 AND s.until_us > n.us - l.window_us - l.jitter_us
)
SELECT NULL AS name, us AS free_us, 0::bigint AS permits FROM now
UNION ALL
SELECT name, free_us, sum(permits)::bigint FROM live WHERE free_us <= horizon_us GROUP BY name, free_us
UNION ALL
SELECT name, min(free_us), sum(permits)::bigint FROM live WHERE free_us > horizon_us GROUP BY name
