-- An attempt for every claim lost to a crash. Where the claim's response was stored, its attempt is there already.
INSERT INTO attempts (job_id, attempt, run_id, error_type, error_message)
SELECT id, attempts, run_id, 'interrupted', 'the run died while it held this job'
FROM jobs WHERE run_id IS NOT NULL
ON CONFLICT (job_id, attempt) DO NOTHING
