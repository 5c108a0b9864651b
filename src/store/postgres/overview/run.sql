-- The newest run that is going, and gives signs of life; else the newest that is not known to have ended, or the last one.
SELECT id, outcome, host, pid, started_at_us, heartbeat_at_us, ended_at_us, control FROM runs
ORDER BY ended_at_us IS NOT NULL,
    heartbeat_at_us < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 15000000,
    id DESC LIMIT 1
