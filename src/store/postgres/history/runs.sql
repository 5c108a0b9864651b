-- All there is to say of the last runs; $1 = so many. Many go at once, so the minutes do not tell whose a request was: the attempts are
-- counted, in one walk over them.
SELECT
    r.id, r.started_at_us, r.ended_at_us, r.heartbeat_at_us, r.outcome, r.host, r.pid, r.version, r.settings,
    coalesce(a.requests, 0), coalesce(a.results, 0), coalesce(a.late, 0)
FROM (SELECT * FROM runs ORDER BY id DESC LIMIT $1) AS r
LEFT JOIN (
    SELECT run_id, count(rate_wait_us) AS requests, count(latency_us) AS results, count(*) FILTER (WHERE within_sla = 0) AS late
    FROM attempts GROUP BY run_id) AS a ON a.run_id = r.id
ORDER BY r.id
