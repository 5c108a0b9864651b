-- Moves jobs on; ?1 = JSON array of rows that have passed the fence in this transaction.
UPDATE jobs SET
    state = b.value ->> 2, failures = b.value ->> 3, generation = b.value ->> 4, crashes = b.value ->> 5,
    due_at_us = b.value ->> 6, error_type = b.value ->> 7, error_message = b.value ->> 8,
    finished_at_us = b.value ->> 9, run_id = b.value ->> 10, was = b.value ->> 11
FROM jsonb_each(?1) AS b
WHERE jobs.id = b.value ->> 0
