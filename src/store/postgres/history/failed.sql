-- Failed attempts by type and minute in which they were sent: a walk over what failed alone. What was lost to a crash has no
-- time, and is told with the runs.
SELECT error_type, started_at_us - started_at_us % 60000000 AS minute_at_us, count(*)
FROM attempts
WHERE error_type IS NOT NULL AND error_type <> 'interrupted'
GROUP BY error_type, minute_at_us
