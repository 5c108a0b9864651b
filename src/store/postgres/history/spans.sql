-- From when to when a worker was there, of the last $1. The end of one that died is when another noted it.
SELECT
    started_at_us,
    greatest(started_at_us, CASE outcome WHEN 'crashed' THEN heartbeat_at_us ELSE coalesce(ended_at_us, heartbeat_at_us) END)
FROM runs
ORDER BY id DESC
LIMIT $1
