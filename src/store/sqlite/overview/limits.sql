-- The shortest window first: it is the one that sets the pace.
SELECT name, permits, window_us, paused_until_us, jitter_us FROM limits ORDER BY window_us, name
