-- The last reading of the wall clock in the last run, and of the clock that nobody sets.
SELECT boot_at_us, boot_id, boot_us FROM (SELECT * FROM runs ORDER BY id DESC LIMIT 1) WHERE boot_id IS NOT NULL
