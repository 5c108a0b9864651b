-- Gives unused permits back; ?1 as in spend.sql, and the same buckets.
UPDATE spends SET permits = max(0, spends.permits - unused.n)
FROM (
    SELECT l.name AS name,
           CASE WHEN l.window_us <= 60000000 THEN s.value ->> 0
                ELSE ((s.value ->> 0) / (l.window_us / 1000) + 1) * (l.window_us / 1000) END AS until_us,
           sum(s.value ->> 1) AS n
    FROM json_each(?1) AS s CROSS JOIN limits AS l
    GROUP BY 1, 2
) AS unused
WHERE spends.limit_name = unused.name AND spends.until_us = unused.until_us
