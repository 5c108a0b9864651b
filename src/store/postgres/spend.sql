-- Writes permits down in every limit before they are used; $1 = times after which they are void, $2 = how many. Windows above a
-- minute are kept in buckets of a thousandth of the window, rounded to the later end: never forgotten too soon.
INSERT INTO spends (limit_name, until_us, permits)
SELECT l.name, kept.until_us, sum(s.permits)
FROM unnest($1::bigint[], $2::bigint[]) AS s(until_us, permits)
CROSS JOIN limits AS l
CROSS JOIN LATERAL (SELECT CASE WHEN l.window_us <= 60000000 THEN s.until_us
    ELSE (s.until_us / (l.window_us / 1000) + 1) * (l.window_us / 1000) END) AS kept(until_us)
GROUP BY l.name, kept.until_us
ORDER BY l.name, kept.until_us
ON CONFLICT (limit_name, until_us) DO UPDATE SET permits = spends.permits + excluded.permits
