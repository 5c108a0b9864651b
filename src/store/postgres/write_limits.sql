-- The limits that are kept; one array a column. A known one keeps its pause and its pace, and its jitter where that has grown.
INSERT INTO limits (name, permits, window_us, jitter_us)
SELECT DISTINCT ON (b.name) b.name, b.permits, b.window_us, b.jitter_us
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS b(name, permits, window_us, jitter_us)
ON CONFLICT (name) DO UPDATE SET
    permits = excluded.permits, window_us = excluded.window_us, jitter_us = greatest(limits.jitter_us, excluded.jitter_us)
