-- What a run looks at while it goes; $1 = the run: what another terminal asks of it (one that was taken for dead must stop), whether
-- jobs or limits have changed, whether another run is dead or ended while it held jobs, as in lock_dead.sql, and the time. One row,
-- whatever there is.
SELECT
    (SELECT CASE WHEN ended_at_us IS NULL THEN control ELSE 'stop' END FROM runs WHERE id = $1),
    (SELECT value::bigint FROM meta WHERE name = 'changes'),
    EXISTS (SELECT 1 FROM runs WHERE ended_at_us IS NULL AND id <> $1
            AND heartbeat_at_us < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 15000000
            AND (pg_postmaster_start_time() < clock_timestamp() - interval '15 s'
                 OR heartbeat_at_us < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 86400000000))
        OR EXISTS (SELECT 1 FROM jobs JOIN runs ON runs.id = jobs.run_id
                   WHERE jobs.run_id IS NOT NULL AND runs.ended_at_us IS NOT NULL AND runs.id <> $1),
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
