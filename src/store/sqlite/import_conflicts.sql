-- Rows whose key is known with another request; ?1, ?2, ?3 as in import_requests.sql.
SELECT b.key, j.id
FROM jsonb_each(?1) AS b
CROSS JOIN jobs AS j ON j.key = b.value ->> 0 AND j.id <> ?2 + 1 + b.key
CROSS JOIN requests AS r ON r.job_id = j.id
WHERE r.method <> b.value ->> 2 OR r.url <> b.value ->> 3 OR r.headers <> b.value ->> 4
   OR CAST(r.body AS BLOB) IS NOT CASE WHEN b.value ->> 8 IS NOT NULL
        THEN substr(?3, (b.value ->> 6) + 1, b.value ->> 7) END
