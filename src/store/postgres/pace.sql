-- When the last permit that was handed out falls due; $1 = the limit that is paced, $2 = that time.
UPDATE limits SET paced_until_us = $2 WHERE name = $1
