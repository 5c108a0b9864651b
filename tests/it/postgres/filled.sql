-- Tables of such a size that a walk over them costs more than a look into an index.
INSERT INTO runs (id, started_at_us, ended_at_us, heartbeat_at_us, host, pid, version, settings, outcome)
SELECT n, n, CASE WHEN n < 10 THEN n END, n, 'h', 1, '1', '{}', CASE WHEN n < 10 THEN 'drained' END FROM generate_series(1, 10) AS n;
INSERT INTO imports (id, source, started_at_us, template) VALUES (1, 'x', 1, '{}');
INSERT INTO jobs (id, key, import_id, line, state, attempts, due_at_us, run_id, error_type, error_message, created_at_us, finished_at_us)
SELECT n, 'k' || n, 1, n,
    CASE WHEN n > 29000 THEN 'pending' WHEN n > 28000 THEN 'fetched' WHEN n > 27000 THEN 'failed' ELSE 'succeeded' END,
    1, 0, CASE WHEN n BETWEEN 28900 AND 29099 THEN 1 + n % 10 END,
    CASE WHEN n BETWEEN 27001 AND 28000 THEN '404' END, CASE WHEN n BETWEEN 27001 AND 28000 THEN 'no' END,
    1, CASE WHEN n <= 28000 THEN 1 END
FROM generate_series(1, 30000) AS n;
INSERT INTO requests (job_id, method, url) SELECT n, 'GET', 'http://h/' || n FROM generate_series(1, 30000) AS n;
INSERT INTO attempts (job_id, attempt, run_id, started_at_us, rate_wait_us, error_type, error_message)
SELECT n, 1, 1 + n % 9, n, 1, CASE WHEN n BETWEEN 27001 AND 28000 THEN '404' END, CASE WHEN n BETWEEN 27001 AND 28000 THEN 'no' END
FROM generate_series(1, 29000) AS n;
INSERT INTO responses (job_id, attempt, status_code, headers, body, fetched_at_us)
SELECT n, 1, 200, '{}', 'x', n FROM generate_series(1, 29000) AS n;
INSERT INTO results (job_id, attempt, output, processor, finished_at_us)
SELECT n, 1, '1', 'none', n FROM generate_series(1, 27000) AS n;
INSERT INTO minutes (minute_at_us, stage, up_to_us, n, late, failed)
SELECT n * 60000000::bigint, 'fetch', 1000, 1, 0, 0 FROM generate_series(1, 1000) AS n;
