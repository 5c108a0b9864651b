-- Results in the order of their commits; ?1, ?2 = time and job of the last one seen, ?3 = at most so many.
-- The first condition is the index's to walk, the second finds the place within one commit.
SELECT r.finished_at_us, r.job_id, j.key, r.attempt, r.processor, r.output
FROM results AS r
CROSS JOIN jobs AS j ON j.id = r.job_id
WHERE r.finished_at_us >= ?1 AND (r.finished_at_us > ?1 OR r.job_id > ?2)
ORDER BY r.finished_at_us, r.job_id
LIMIT ?3
