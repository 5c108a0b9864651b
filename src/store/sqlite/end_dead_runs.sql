-- Runs that ended without a word; ?1 = now.
UPDATE runs SET ended_at_us = ?1, outcome = 'crashed', control = NULL WHERE ended_at_us IS NULL
