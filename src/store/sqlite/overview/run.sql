-- The run that holds the database, or did last.
SELECT id, outcome, host, pid, started_at_us, heartbeat_at_us, ended_at_us, control FROM runs ORDER BY id DESC LIMIT 1
