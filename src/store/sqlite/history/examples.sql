-- One failed attempt a type, the last; ?1 = array of types. A look into the index of what failed, and one at its job.
SELECT t.value, j.key, a.error_message
FROM json_each(?1) AS t
CROSS JOIN attempts AS a ON (a.job_id, a.attempt) = (
    SELECT job_id, attempt FROM attempts WHERE error_type = t.value ORDER BY run_id DESC, started_at_us DESC LIMIT 1
)
CROSS JOIN jobs AS j ON j.id = a.job_id
