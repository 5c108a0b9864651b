-- How attempts ended whose jobs keep their old result; one array a column. The job itself says nothing of it.
UPDATE attempts AS a SET error_type = b.error_type, error_message = b.error_message
FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[]) AS b(job, attempt, error_type, error_message)
WHERE a.job_id = b.job AND a.attempt = b.attempt
