-- A limit that is new knows what was sent under the old ones: it takes over the permits of the longest of them.
-- ?1 as in drop_limits.sql.
INSERT INTO spends (limit_name, until_us, permits)
SELECT new.value ->> 0, s.until_us, s.permits
FROM jsonb_each(?1) AS new CROSS JOIN spends AS s
WHERE s.limit_name = (SELECT name FROM limits ORDER BY window_us DESC, name LIMIT 1)
  AND NOT EXISTS (SELECT 1 FROM limits AS l WHERE l.name = new.value ->> 0)
ON CONFLICT (limit_name, until_us) DO NOTHING -- the same limit given twice is one
