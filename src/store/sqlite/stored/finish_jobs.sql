-- Jobs whose stored response was processed well, and that have passed the fence in this transaction; ?1 = JSON array of rows
-- of which the first member is the job, ?2 = now. What else a job says stays as it is.
UPDATE jobs SET
    state = 'succeeded', crashes = 0, due_at_us = 0, error_type = NULL, error_message = NULL, finished_at_us = ?2,
    run_id = NULL, was = NULL
FROM jsonb_each(?1) AS b
WHERE jobs.id = b.value ->> 0
