-- Permits that no window can still hold; ?1 = now.
DELETE FROM spends
WHERE until_us <= (SELECT ?1 - l.window_us - l.jitter_us FROM limits AS l WHERE l.name = spends.limit_name)
