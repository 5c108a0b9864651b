-- Jobs with all that they say, and whether they were never sent; $1 = the last one before them, $2 = the last of them. Locked, so that
-- nothing is sent of them before this transaction ends.
SELECT j.id, j.key, j.import_id,
       j.state = 'pending' AND j.run_id IS NULL
           AND (j.attempts = 0 OR NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.job_id = j.id)),
       j.finished_at_us IS NULL,
       r.method, r.url, r.headers, r.row, r.body, r.body_bytes
FROM jobs AS j JOIN requests AS r ON r.job_id = j.id
WHERE j.id > $1 AND j.id <= $2
ORDER BY j.id
FOR NO KEY UPDATE OF j
