-- A run ends; ?1 = the run, ?2 = now, ?3 = outcome.
UPDATE runs SET ended_at_us = ?2, heartbeat_at_us = ?2, outcome = ?3, control = NULL WHERE id = ?1
