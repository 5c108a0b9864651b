-- Where jobs stand that somebody wants elsewhere, and what that depends on; ?1 = their ids as a JSON array. One row for all
-- of them: each row would wake the caller.
SELECT json_group_array(json_array(
    j.id, j.state, j.failures, j.generation, j.crashes, j.was, j.error_type, j.run_id IS NOT NULL,
    EXISTS (SELECT 1 FROM responses AS r WHERE r.job_id = j.id)))
FROM jsonb_each(?1) AS wanted CROSS JOIN jobs AS j ON j.id = wanted.value
