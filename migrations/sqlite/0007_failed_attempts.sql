-- Failures by type over time, and what a crash cost, are found without a walk over all attempts.

PRAGMA user_version = 7;

-- As small as what went wrong: an attempt that did what it should is not in it, and costs nothing.
CREATE INDEX attempts_failed ON attempts (error_type, run_id, started_at_us) WHERE error_type IS NOT NULL;
