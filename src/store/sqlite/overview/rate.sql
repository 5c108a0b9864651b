-- ?1 = the minute in which the run began, ?2 = the minute of now. Requests and results: in the run, in this minute, in the
-- one before. A range of the primary key of `minutes`; it grows with the time, not with the jobs.
SELECT
    stage,
    sum(n),
    sum(CASE WHEN minute_at_us = ?2 THEN n ELSE 0 END),
    sum(CASE WHEN minute_at_us = ?2 - 60000000 THEN n ELSE 0 END)
FROM minutes
WHERE minute_at_us >= ?1 AND stage IN ('rate_wait', 'latency')
GROUP BY stage
