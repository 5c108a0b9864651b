-- Limits this run does not keep, with their permits; ?1 = JSON array of [name, permits, window, jitter].
DELETE FROM limits WHERE name NOT IN (SELECT value ->> 0 FROM jsonb_each(?1))
