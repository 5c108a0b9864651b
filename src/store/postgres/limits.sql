-- The limits, as they are now.
SELECT name, permits, window_us, jitter_us, paused_until_us FROM limits ORDER BY window_us, name
