-- Jobs that succeeded, and are to be processed again; ?1 = their ids as a JSON array. What `job::wished` makes of all of them.
UPDATE jobs SET
    state = 'fetched', was = 'succeeded', failures = 0, crashes = 0, due_at_us = 0, error_type = NULL, error_message = NULL,
    finished_at_us = NULL
FROM jsonb_each(?1) AS b
WHERE jobs.id = b.value
