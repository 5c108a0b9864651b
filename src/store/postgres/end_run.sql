-- A run ends; $1 = the run, $2 = now, $3 = outcome. What was noted of it before, as of a dead one, stays.
UPDATE runs SET ended_at_us = $2, heartbeat_at_us = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, outcome = $3,
    control = NULL
WHERE id = $1 AND ended_at_us IS NULL
