-- A run begins, and remembers what its first minute held before it: the numbers of a run come from whole minutes.
-- $1 = now, $2 .. $5 = host, process, version, settings.
INSERT INTO runs (started_at_us, heartbeat_at_us, host, pid, version, settings, minute_before)
VALUES (
    $1::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, $2, $3, $4, $5,
    (SELECT coalesce(json_agg(json_build_array(stage, up_to_us, n, late)), '[]')::text
     FROM minutes WHERE minute_at_us = $1 - $1 % 60000000)
)
RETURNING id
