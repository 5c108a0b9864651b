-- How attempts ended whose jobs keep their old result; ?1 = JSON array of [job, attempt, error type, message]. The job itself
-- says nothing of it.
UPDATE attempts SET error_type = b.value ->> 2, error_message = b.value ->> 3
FROM jsonb_each(?1) AS b
WHERE attempts.job_id = b.value ->> 0 AND attempts.attempt = b.value ->> 1
