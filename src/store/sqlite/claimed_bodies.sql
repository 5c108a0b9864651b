-- Request bodies that are no text, of jobs just claimed; ?1 = their ids as a JSON array.
SELECT r.job_id, r.body
FROM jsonb_each(?1) AS claimed CROSS JOIN requests AS r ON r.job_id = claimed.value
