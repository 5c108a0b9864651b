-- Permits that no window can still hold; $1 = now.
DELETE FROM spends USING limits AS l
WHERE l.name = spends.limit_name AND spends.until_us <= $1 - l.window_us - l.jitter_us
