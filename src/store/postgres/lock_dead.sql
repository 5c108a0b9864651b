-- Runs that are dead and not noted as such, or that ended while they held jobs; $1 = the run that asks, or 0. A run is dead whose last
-- sign of life is 15 s old by the clock of this server, unless nobody could give one, as the server was
-- down (for less than a day). Locked, so that one
-- worker takes its jobs up, and it cannot claim meanwhile.
SELECT id FROM runs
WHERE id <> $1 AND (
    ended_at_us IS NULL
        AND heartbeat_at_us < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 15000000
        AND (pg_postmaster_start_time() < clock_timestamp() - interval '15 s'
             OR heartbeat_at_us < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 86400000000)
    OR ended_at_us IS NOT NULL AND id IN (SELECT run_id FROM jobs WHERE run_id IS NOT NULL))
ORDER BY id
FOR UPDATE SKIP LOCKED
