-- Two runs at 20 a second over 14 hours, the first of which crashed; 20,000 failed attempts. Only what a report reads.
INSERT INTO runs (id, started_at_us, ended_at_us, heartbeat_at_us, host, pid, version, settings, outcome) VALUES
    (1, 1795339205000000, 1795369260000000, 1795369200000000, 'here', 1, '0.1.0',
     '{"limits":[{"name":"20/s","permits":20,"window_us":1000000,"jitter_us":20000}],"sla":{"secs":0,"nanos":500000000}}', 'crashed'),
    (2, 1795369260000000, 1795389260000000, 1795389260000000, 'here', 2, '0.1.0',
     '{"limits":[{"name":"25/s","permits":25,"window_us":1000000,"jitter_us":20000}],"sla":{"secs":0,"nanos":500000000}}', 'drained');
WITH RECURSIVE
minute (at) AS (VALUES (1795339200000000) UNION ALL SELECT at + 60000000 FROM minute WHERE at < 1795389180000000),
bucket (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM bucket WHERE i < 29),
stage (name, base) AS (VALUES ('rate_wait', 20000), ('ttfb', 60000), ('fetch', 61000), ('queue', 100), ('process', 900), ('latency', 62000))
INSERT INTO minutes (minute_at_us, stage, up_to_us, n, late, failed)
SELECT at, name, base + base * i / 8, 40, CASE WHEN name = 'latency' AND i > 26 THEN 3 ELSE 0 END, name = 'fetch' AND i = 7
FROM minute, stage, bucket;
INSERT INTO imports (id, source, started_at_us, rows, added) VALUES (9, 'many.csv', 0, 1000000, 1000000);
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO jobs (id, key, import_id, line, created_at_us, state, finished_at_us, error_type, error_message)
SELECT i + 100, 'key ' || i, 9, i, 0, 'failed', 1, CASE i % 3 WHEN 0 THEN '503' WHEN 1 THEN 'timeout' ELSE '404' END, 'no' FROM n;
INSERT INTO attempts (job_id, attempt, run_id, started_at_us, error_type, error_message)
SELECT id, 1, 1 + (id > 12000), CASE WHEN id % 500 > 0 THEN 1795339205000000 + id * 2400000 END,
       CASE WHEN id % 500 > 0 THEN error_type ELSE 'interrupted' END, 'no'
FROM jobs WHERE id > 100;
INSERT INTO counts (state, error_type, n) VALUES ('succeeded', '', 980000), ('failed', '503', 20000);
