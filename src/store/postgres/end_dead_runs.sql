-- Runs that ended without a word; $1 = these, $2 = now.
UPDATE runs SET ended_at_us = $2, outcome = 'crashed', control = NULL WHERE id = ANY ($1::bigint[]) AND ended_at_us IS NULL
