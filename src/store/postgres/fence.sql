-- The fence, once a batch: which write-backs still hold their lease, and where those jobs stand. $1 = jobs, $2 = attempts, $3 = the
-- run. Locked in the order of ids, so that nobody takes a lease away before this transaction ends.
SELECT b.n, j.state, coalesce(j.error_type, '')
FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS b(job, attempt, n)
JOIN jobs AS j ON j.id = b.job AND j.attempts = b.attempt AND j.run_id = $3
ORDER BY j.id
FOR NO KEY UPDATE OF j
