-- Jobs whose response is stored and that are due, to be leased in this transaction, each with about what it takes in memory;
-- ?1 = now, ?2 = at most so many, ?3 = the run, as in claim.sql. What is packed is taken to be ten times as large in memory.
-- `octet_length` reads no body. One row for all of them: each row would wake the caller.
SELECT json_group_array(ready.id), json_group_array(
    octet_length(r.url) + octet_length(r.headers) + octet_length(r.row) + coalesce(octet_length(r.body), 0)
    + octet_length(p.headers) + octet_length(p.body) * iif(p.body_encoding IS NULL, 1, 10))
FROM (
    SELECT id FROM jobs
    WHERE run_id IS NULL AND finished_at_us IS NULL AND state = 'fetched' AND due_at_us <= ?1
    ORDER BY due_at_us, id LIMIT ?2 + 0) AS ready
CROSS JOIN requests AS r ON r.job_id = ready.id
CROSS JOIN responses AS p ON p.job_id = ready.id
WHERE (SELECT ended_at_us IS NULL FROM runs WHERE id = ?3)
