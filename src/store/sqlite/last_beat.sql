-- The last sign of life of the last run, by the wall clock and by the clock that nobody sets.
SELECT heartbeat_at_us, boot_id, boot_us FROM (SELECT * FROM runs ORDER BY id DESC LIMIT 1) WHERE boot_id IS NOT NULL
