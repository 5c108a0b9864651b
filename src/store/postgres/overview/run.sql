-- The newest run that is going, or the last one.
SELECT id, outcome, host, pid, started_at_us, heartbeat_at_us, ended_at_us, control FROM runs
ORDER BY ended_at_us IS NOT NULL, id DESC LIMIT 1
