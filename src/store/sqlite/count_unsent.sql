-- Jobs that have never been sent: no attempt of theirs is known (a claim that was given back is none). Walks what is ready, and only where somebody is asked what a change would cost. The index is
-- named, as SQLite would rather scan all jobs after an ANALYZE.
SELECT count(*) FROM jobs INDEXED BY jobs_ready
WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'pending'
  AND (attempts = 0 OR NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.job_id = jobs.id))
