-- Which of these jobs have never been sent, and are not being sent now: no attempt of theirs is known, and a claim that was
-- given back is none; ?1 = JSON array of ids.
SELECT j.id FROM jsonb_each(?1) AS b CROSS JOIN jobs AS j ON j.id = b.value
WHERE j.state = 'pending' AND j.run_id IS NULL
  AND (j.attempts = 0 OR NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.job_id = j.id))
