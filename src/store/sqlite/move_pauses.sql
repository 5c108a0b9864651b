-- Moves the pauses of limits; ?1 = by how much.
UPDATE limits SET paused_until_us = paused_until_us + ?1 WHERE paused_until_us > 0
