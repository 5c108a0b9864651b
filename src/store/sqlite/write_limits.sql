-- The limits of this run; ?1 as in drop_limits.sql. A known one keeps its pause, and its jitter where that has grown.
INSERT INTO limits (name, permits, window_us, jitter_us)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?1) WHERE true
ON CONFLICT (name) DO UPDATE SET
    permits = excluded.permits, window_us = excluded.window_us, jitter_us = max(jitter_us, excluded.jitter_us)
