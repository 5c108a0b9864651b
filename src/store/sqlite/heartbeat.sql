-- A sign of life, for people and for the next run; ?1 = the run, ?2 = now, ?3, ?4 = the clock that nobody sets.
UPDATE runs SET heartbeat_at_us = ?2, boot_id = ?3, boot_us = ?4, boot_at_us = ?2 WHERE id = ?1
