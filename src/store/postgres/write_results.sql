-- Results; one array a column, $5 = their time.
INSERT INTO results (job_id, attempt, output, processor, finished_at_us)
SELECT b.job, b.attempt, b.output, b.processor, $5
FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[]) AS b(job, attempt, output, processor)
ON CONFLICT (job_id) DO UPDATE SET
    attempt = excluded.attempt, output = excluded.output, processor = excluded.processor,
    finished_at_us = excluded.finished_at_us
