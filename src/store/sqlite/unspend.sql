-- Gives unused permits back; ?1 as in spend.sql, and the same buckets. An INSERT of what is there already: two of the
-- permits may share a bucket, and an UPDATE would see only one of them.
INSERT INTO spends (limit_name, until_us, permits)
SELECT spent.limit_name, spent.until_us, s.value ->> 1
FROM jsonb_each(?1) AS s CROSS JOIN limits AS l CROSS JOIN spends AS spent
    ON spent.limit_name = l.name
    AND spent.until_us = CASE WHEN l.window_us <= 60000000 THEN s.value ->> 0
                              ELSE ((s.value ->> 0) / (l.window_us / 1000) + 1) * (l.window_us / 1000) END
WHERE true
ON CONFLICT (limit_name, until_us) DO UPDATE SET permits = max(0, permits - excluded.permits)
