-- A run begins.
INSERT INTO runs (started_at_us, heartbeat_at_us, host, pid, version, settings) VALUES (?1, ?1, ?2, ?3, ?4, ?5)
