-- Gives jobs other keys; $1 = jobs, $2 = keys.
UPDATE jobs SET key = b.key FROM unnest($1::bigint[], $2::text[]) AS b(job, key) WHERE jobs.id = b.job
