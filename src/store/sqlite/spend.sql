-- Writes permits down in every limit before they are used; ?1 = JSON array of [void after, permits]. Windows above a
-- minute are kept in buckets of a thousandth of the window, rounded to the later end: never forgotten too soon.
INSERT INTO spends (limit_name, until_us, permits)
SELECT l.name,
       CASE WHEN l.window_us <= 60000000 THEN s.value ->> 0
            ELSE ((s.value ->> 0) / (l.window_us / 1000) + 1) * (l.window_us / 1000) END,
       s.value ->> 1
FROM jsonb_each(?1) AS s CROSS JOIN limits AS l
WHERE true
ON CONFLICT (limit_name, until_us) DO UPDATE SET permits = permits + excluded.permits
