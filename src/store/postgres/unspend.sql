-- Gives unused permits back; $1, $2 as in spend.sql, and the same buckets.
UPDATE spends SET permits = greatest(0, spends.permits - back.permits)
FROM (
    SELECT l.name, kept.until_us, sum(s.permits) AS permits
    FROM unnest($1::bigint[], $2::bigint[]) AS s(until_us, permits)
    CROSS JOIN limits AS l
    CROSS JOIN LATERAL (SELECT CASE WHEN l.window_us <= 60000000 THEN s.until_us
        ELSE (s.until_us / (l.window_us / 1000) + 1) * (l.window_us / 1000) END) AS kept(until_us)
    GROUP BY l.name, kept.until_us
) AS back
WHERE spends.limit_name = back.name AND spends.until_us = back.until_us
