-- The time of the results of this transaction; ?1 = now. Later than that of every result there is: see results_in_order.
SELECT max(?1, coalesce(max(finished_at_us) + 1, 0)) FROM results
