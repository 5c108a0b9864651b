-- One failed attempt a type, the last; $1 = types. A look into the index of what failed, and one at its job.
SELECT t.name, j.key, a.error_message
FROM unnest($1::text[]) AS t(name)
CROSS JOIN LATERAL (
    SELECT job_id, error_message FROM attempts WHERE error_type = t.name ORDER BY run_id DESC, started_at_us DESC LIMIT 1) AS a
JOIN jobs AS j ON j.id = a.job_id
