-- 200,000 jobs, every kind of place in the queue well mixed; now = 1,000,000. Of 1,000: 470 done, 9 retries that fell due (not
-- in the order of their ids), 9 retries for later, 6 fetched and due, 5 fetched for later, 1 leased, 500 fresh.
INSERT INTO imports (id, source, started_at_us) VALUES (1, 'many.csv', 0);
INSERT INTO runs (id, started_at_us, heartbeat_at_us, host, pid, version, settings) VALUES (1, 0, 0, 'here', 1, '0', '{}');
WITH RECURSIVE n (id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM n WHERE id < 200000),
kinds AS (SELECT id, id * 617 % 1000 AS kind, id * 7919 % 999999 + 1 AS past FROM n)
INSERT INTO jobs (id, key, import_id, line, state, attempts, due_at_us, run_id, error_type, error_message,
                  created_at_us, finished_at_us)
SELECT id, 'job ' || id, 1, id,
       CASE WHEN kind < 470 THEN 'succeeded' WHEN kind BETWEEN 488 AND 498 THEN 'fetched' ELSE 'pending' END,
       kind < 500,
       CASE WHEN kind BETWEEN 470 AND 478 OR kind BETWEEN 488 AND 493 THEN past
            WHEN kind BETWEEN 479 AND 498 THEN 1000000 + past ELSE 0 END,
       CASE kind WHEN 499 THEN 1 END,
       CASE WHEN kind BETWEEN 470 AND 487 THEN 'timeout' END,
       CASE WHEN kind BETWEEN 470 AND 487 THEN 'no answer' END,
       0,
       CASE WHEN kind < 470 THEN 1 END
FROM kinds;
INSERT INTO requests (job_id, method, url) SELECT id, 'GET', 'http://127.0.0.1/' || id FROM jobs;
INSERT INTO responses (job_id, attempt, status_code, headers, body, fetched_at_us)
SELECT id, 1, 200, '{}', 'body', 1 FROM jobs WHERE state = 'fetched';
INSERT INTO attempts (job_id, attempt, run_id) SELECT id, 1, 1 FROM jobs WHERE attempts = 1 AND run_id IS NULL;
INSERT INTO counts (state, error_type, n) SELECT state, coalesce(error_type, ''), count(*) FROM jobs GROUP BY 1, 2;
