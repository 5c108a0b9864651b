-- Permits that may still count against a limit; $1 = now.
SELECT s.limit_name, s.until_us, s.permits
FROM spends AS s JOIN limits AS l ON l.name = s.limit_name
WHERE s.permits > 0 AND s.until_us > $1 - l.window_us - l.jitter_us
ORDER BY s.limit_name, s.until_us
