-- An attempt for every claim lost to a death; $1 = the dead runs. Where the claim's response was stored, only its processing was lost,
-- and what was measured of it stays.
INSERT INTO attempts (job_id, attempt, run_id, error_type, error_message)
SELECT id, attempts, run_id, 'interrupted', 'the run ended while it held this job'
FROM jobs WHERE run_id = ANY ($1::bigint[])
ON CONFLICT (job_id, attempt) DO UPDATE SET error_type = excluded.error_type, error_message = excluded.error_message
