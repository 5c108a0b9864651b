-- Their attempts; ?1 = JSON array of [job, attempt, began, waited for a CPU, took, ..], ?2 = the run.
INSERT INTO attempts (job_id, attempt, run_id, started_at_us, queue_us, process_us)
SELECT b.value ->> 0, b.value ->> 1, ?2, b.value ->> 2, b.value ->> 3, b.value ->> 4
FROM jsonb_each(?1) AS b
