-- While a request is in flight, `due_at_us` of its job is the time after which its permit is void: a recovery must know
-- which permits may have been used late. ?1 = JSON array of [job, void after].
UPDATE jobs SET due_at_us = b.value ->> 1 FROM json_each(?1) AS b WHERE jobs.id = b.value ->> 0
