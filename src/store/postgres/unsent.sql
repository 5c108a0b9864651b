-- Which of these jobs have never been sent, and are not being sent now: no attempt of theirs is known, and a claim that was given back
-- is none; $1 = ids. Locked, so that nobody claims one before this transaction ends.
SELECT j.id FROM unnest($1::bigint[]) AS b(id) JOIN jobs AS j ON j.id = b.id
WHERE j.state = 'pending' AND j.run_id IS NULL
  AND (j.attempts = 0 OR NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.job_id = j.id))
ORDER BY j.id
FOR NO KEY UPDATE OF j
