-- Drops the stored responses of jobs that are finished; $1 = ids. Others still need theirs, or wait for the answer that replaces it.
DELETE FROM responses AS r
USING unnest($1::bigint[]) AS pruned(id), jobs AS j
WHERE r.job_id = pruned.id AND j.id = pruned.id AND j.finished_at_us IS NOT NULL
