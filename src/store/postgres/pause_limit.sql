-- The server asked us to wait; $1 = name, $2 = until, $3 = jitter.
UPDATE limits SET paused_until_us = greatest(paused_until_us, $2), jitter_us = greatest(jitter_us, $3) WHERE name = $1
