-- A limit that is new knows what was sent under the old ones: it takes over the permits of the longest of them. $1 = names.
INSERT INTO spends (limit_name, until_us, permits)
SELECT DISTINCT new.name, s.until_us, s.permits
FROM unnest($1::text[]) AS new(name) CROSS JOIN spends AS s
WHERE s.limit_name = (SELECT name FROM limits ORDER BY window_us DESC, name LIMIT 1)
  AND NOT EXISTS (SELECT 1 FROM limits AS l WHERE l.name = new.name)
ON CONFLICT (limit_name, until_us) DO NOTHING
