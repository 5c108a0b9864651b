-- A sign of life, by the clock of this server; $1 = the run. None of one that was taken for dead.
UPDATE runs SET heartbeat_at_us = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint WHERE id = $1 AND ended_at_us IS NULL
