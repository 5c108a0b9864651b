-- Moves jobs on that have passed the fence in this transaction; one array a column.
UPDATE jobs SET
    state = b.state, failures = b.failures, generation = b.generation, crashes = b.crashes, due_at_us = b.due_at_us,
    error_type = b.error_type, error_message = b.error_message, finished_at_us = b.finished_at_us, run_id = b.run_id, was = b.was
FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::integer[], $5::integer[], $6::bigint[], $7::text[], $8::text[], $9::bigint[],
            $10::bigint[], $11::text[])
    AS b(job, state, failures, generation, crashes, due_at_us, error_type, error_message, finished_at_us, run_id, was)
WHERE jobs.id = b.job
