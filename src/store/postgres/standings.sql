-- Where jobs stand that somebody wants elsewhere, and what that depends on; $1 = their ids. Locked in their order, so that no worker
-- takes one before this transaction ends.
SELECT j.id, j.state, j.failures, j.generation, j.crashes, j.was, j.error_type, j.run_id IS NOT NULL,
       EXISTS (SELECT 1 FROM responses AS r WHERE r.job_id = j.id)
FROM unnest($1::bigint[]) AS wanted(id) JOIN jobs AS j ON j.id = wanted.id
ORDER BY j.id
FOR NO KEY UPDATE OF j
