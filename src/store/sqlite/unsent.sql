-- Which of these jobs have never been sent, and are not being sent now; ?1 = JSON array of ids.
SELECT j.id FROM jsonb_each(?1) AS b CROSS JOIN jobs AS j ON j.id = b.value
WHERE j.state = 'pending' AND j.attempts = 0 AND j.run_id IS NULL
