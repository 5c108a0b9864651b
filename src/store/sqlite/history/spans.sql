-- From when to when something ran, the last ?1 runs, the oldest first. One that died may have written minutes after its last
-- sign of life: one look into the primary key of `minutes` a run.
WITH following AS (
    SELECT
        id, started_at_us, coalesce(ended_at_us, heartbeat_at_us) AS until_us, outcome, heartbeat_at_us,
        lead(started_at_us - started_at_us % 60000000) OVER (ORDER BY id) AS next_minute_us
    FROM runs
)
SELECT
    started_at_us,
    max(
        started_at_us,
        -- The end of a crashed run is when the next one noted it.
        CASE outcome WHEN 'crashed' THEN heartbeat_at_us ELSE until_us END,
        coalesce((SELECT max(minute_at_us) FROM minutes WHERE minute_at_us < coalesce(next_minute_us, 9e18)), 0)
    )
FROM following
ORDER BY id DESC
LIMIT ?1
