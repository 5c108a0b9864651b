-- A sign of life, for people; ?1 = the run, ?2 = now.
UPDATE runs SET heartbeat_at_us = ?2 WHERE id = ?1
