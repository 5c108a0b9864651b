-- What runs that died held, by run: jobs in flight, and of these those whose response was stored already, so that only their
-- processing was lost.
SELECT run_id, count(*), count(started_at_us) FROM attempts WHERE error_type = 'interrupted' GROUP BY run_id
