-- Jobs that have never been sent: no attempt of theirs is known. Walks what is ready, where somebody is asked what a change would cost.
SELECT count(*) FROM jobs
WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'pending'
  AND (attempts = 0 OR NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.job_id = jobs.id))
