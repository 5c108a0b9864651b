-- Gives jobs other keys; ?1 = JSON array of [job, key].
UPDATE jobs SET key = b.value ->> 1 FROM jsonb_each(?1) AS b WHERE jobs.id = b.value ->> 0
