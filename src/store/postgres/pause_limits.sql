-- What the server asked for holds whatever the limits are; $1 = until.
UPDATE limits SET paused_until_us = greatest(paused_until_us, $1)
