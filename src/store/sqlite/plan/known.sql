-- Rows of an import whose key is known: whether the job asks something else, and whether it was sent,
-- as unsent.sql has it. ?1, ?2 as ?1 and ?3 in import_requests.sql.
SELECT b.key, r.method <> b.value ->> 2 OR r.url <> b.value ->> 3 OR r.headers <> b.value ->> 4
   OR CAST(r.body AS BLOB) IS NOT CASE WHEN b.value ->> 8 IS NOT NULL
        THEN substr(?2, (b.value ->> 6) + 1, b.value ->> 7) END AS other,
    NOT (j.state = 'pending' AND j.run_id IS NULL
        AND (j.attempts = 0 OR NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.job_id = j.id))) AS sent
FROM jsonb_each(?1) AS b
CROSS JOIN jobs AS j ON j.key = b.value ->> 0
CROSS JOIN requests AS r ON r.job_id = j.id
