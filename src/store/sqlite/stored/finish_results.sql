-- Their results; ?1 = JSON array of [job, attempt, .., .., .., offset, length], ?2 = all outputs, ?3 = the processor, ?4 = now.
INSERT INTO results (job_id, attempt, output, processor, finished_at_us)
SELECT b.value ->> 0, b.value ->> 1, CAST(substr(?2, (b.value ->> 5) + 1, b.value ->> 6) AS TEXT), ?3, ?4
FROM jsonb_each(?1) AS b
WHERE true
ON CONFLICT (job_id) DO UPDATE SET
    attempt = excluded.attempt, output = excluded.output, processor = excluded.processor,
    finished_at_us = excluded.finished_at_us
