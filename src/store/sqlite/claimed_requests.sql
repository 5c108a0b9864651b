-- What the jobs just claimed say; ?1 = their ids as a JSON array.
SELECT r.job_id, r.method, r.url, r.headers, r.body, r.row
FROM json_each(?1) AS claimed CROSS JOIN requests AS r ON r.job_id = claimed.value
