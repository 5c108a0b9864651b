-- Notes the permit of a further request of jobs that have passed the fence in this transaction; ?1 = JSON array of
-- [job, attempt, permit void after]. As in lease.sql: a recovery must know which permits may have been used late.
UPDATE jobs SET due_at_us = b.value ->> 2
FROM jsonb_each(?1) AS b
WHERE jobs.id = b.value ->> 0
