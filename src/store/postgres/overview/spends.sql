-- Permits that count in a limit now, the oldest first; $1 = its name, $2 = those void since then. Few: those of long windows
-- share buckets.
SELECT until_us, permits FROM spends WHERE limit_name = $1 AND until_us > $2 AND permits > 0 ORDER BY until_us
