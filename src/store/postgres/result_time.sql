-- The time of the results of this transaction; $1 = now. Later than that of every result there is, so that a reader who has seen some
-- finds no other before them; lock_kept.sql is taken before.
SELECT greatest($1, coalesce((SELECT max(finished_at_us) + 1 FROM results), 0))
