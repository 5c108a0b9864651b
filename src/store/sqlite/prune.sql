-- Drops the stored responses of jobs that are finished; ?1 = ids as a JSON array. Others still need theirs, or wait for the
-- answer that replaces it.
DELETE FROM responses
WHERE job_id IN (
    SELECT j.id FROM jsonb_each(?1) AS pruned CROSS JOIN jobs AS j ON j.id = pruned.value
    WHERE j.finished_at_us IS NOT NULL)
