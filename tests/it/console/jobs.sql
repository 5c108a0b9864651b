-- Six jobs, one of each kind, and the numbers that are kept beside them.
INSERT INTO imports (id, source, started_at_us, rows, added, rejected) VALUES (1, 'jobs.csv', 1, 7, 6, 1);
INSERT INTO runs (id, started_at_us, heartbeat_at_us, host, pid, version, settings) VALUES
    (1, 1764000000000000, 1764000060000000, 'box', 42, '0.1.0', '{"sla":{"secs":0,"nanos":500000000}}');
INSERT INTO limits VALUES ('20/s', 20, 1000000, 20000, 0), ('10000/d', 10000, 86400000000, 20000, 1764000090000000);
INSERT INTO jobs (id, key, import_id, line, state, attempts, due_at_us, run_id, error_type, error_message, created_at_us, finished_at_us)
VALUES
    (1, 'done', 1, 1, 'succeeded', 2, 0, NULL, NULL, NULL, 1764000000123456, 1764000001000000),
    (2, 'gone', 1, 2, 'failed', 1, 0, NULL, '404', 'not found', 1764000000123456, 1764000001000000),
    (3, 'late', 1, 3, 'pending', 1, 1764000099000001, NULL, 'timeout', 'no answer', 1764000000123456, NULL),
    (4, 'busy', 1, 4, 'pending', 1, 0, 1, NULL, NULL, 1764000000123456, NULL),
    (5, 'half', 1, 5, 'fetched', 1, 0, NULL, NULL, NULL, 1764000000123456, NULL),
    (6, 'none', 1, 6, 'cancelled', 0, 0, NULL, NULL, NULL, 1764000000123456, 1764000001000000);
INSERT INTO requests (job_id, method, url, row)
SELECT id, 'GET', 'https://example.com/' || id, json_object('n', id) FROM jobs;
INSERT INTO attempts
    (job_id, attempt, run_id, started_at_us, rate_wait_us, ttfb_us, fetch_us, latency_us, within_sla, status_code, error_type, error_message)
VALUES
    (1, 1, 1, 1764000000200000, 10, 900, NULL, NULL, NULL, 503, '503', 'busy'),
    (1, 2, 1, 1764000000500000, 3100, 81200, 85200, 87250, 1, 200, NULL, NULL),
    (2, 1, 1, 1764000000600000, 10, 900, 1000, NULL, NULL, 404, '404', 'not found'),
    (3, 1, 1, 1764000000700000, 10, NULL, NULL, NULL, NULL, NULL, 'timeout', 'no answer');
INSERT INTO responses VALUES (1, 2, 200, '{}', '{"total": 7}', NULL, 1764000000600000), (5, 1, 200, '{}', x'ff00', NULL, 5);
INSERT INTO results VALUES (1, 2, '7', 'jq:.total', 1764000001000000);
INSERT INTO counts VALUES
    ('succeeded', '', 1), ('failed', '404', 1), ('pending', 'timeout', 1), ('pending', '', 1), ('fetched', '', 1),
    ('cancelled', '', 1);
-- 100 results in buckets of 1, 2, .. 10 ms, ten each; the last ten too late. Half of them a minute later.
INSERT INTO minutes
SELECT 1763999940000000 + 60000000 * m.value, 'latency', 1000 * (b.key + 1), 5, CASE b.key WHEN 9 THEN 5 ELSE 0 END, 0
FROM json_each('[0, 1]') AS m, json_each('[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]') AS b;
INSERT INTO minutes VALUES (1764000000000000, 'rate_wait', 10, 60, 0, 0), (1764000000000000, 'fetch', 800, 60, 0, 3);
