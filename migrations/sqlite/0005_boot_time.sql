-- A run remembers a clock that nobody sets beside its signs of life, so that a step of the wall clock is seen by the next one.

PRAGMA user_version = 5;

ALTER TABLE runs ADD COLUMN boot_id TEXT;       -- which boot of the machine it ran in; NULL = the system does not tell
ALTER TABLE runs ADD COLUMN boot_us INTEGER;    -- time since that boot, suspended time included, ..
ALTER TABLE runs ADD COLUMN boot_at_us INTEGER; -- .. read at this time of the wall clock
