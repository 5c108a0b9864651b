-- A run begins, and remembers what its first minute held before it: the numbers of a run come from whole minutes.
-- VALUES, because an INSERT of a SELECT may be many rows, and for these SQLite would plan to look for children of them.
INSERT INTO runs (started_at_us, heartbeat_at_us, host, pid, version, settings, boot_id, boot_us, boot_at_us, minute_before)
VALUES (
    ?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?1,
    (SELECT json_group_array(json_array(stage, up_to_us, n, late)) FROM minutes WHERE minute_at_us = ?1 - ?1 % 60000000)
)
