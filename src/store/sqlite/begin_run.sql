-- A run begins, and remembers what its first minute held before it: the numbers of a run come from whole minutes.
INSERT INTO runs (started_at_us, heartbeat_at_us, host, pid, version, settings, minute_before)
SELECT ?1, ?1, ?2, ?3, ?4, ?5, json_group_array(json_array(stage, up_to_us, n))
FROM minutes
WHERE minute_at_us = ?1 - ?1 % 60000000
