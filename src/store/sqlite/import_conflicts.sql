-- Rows whose key is known with another request, and to which that matters: not those that skip it (1). Where the request is to
-- be replaced (2) another row matters too; the third column tells which of the two it is. ?1, ?2, ?3 as in import_requests.sql.
SELECT b.key, j.id, r.method <> b.value ->> 2 OR r.url <> b.value ->> 3 OR r.headers <> b.value ->> 4
   OR CAST(r.body AS BLOB) IS NOT CASE WHEN b.value ->> 8 IS NOT NULL
        THEN substr(?3, (b.value ->> 6) + 1, b.value ->> 7) END AS other
FROM jsonb_each(?1) AS b
CROSS JOIN jobs AS j ON j.key = b.value ->> 0 AND j.id <> ?2 + 1 + b.key
CROSS JOIN requests AS r ON r.job_id = j.id
WHERE b.value ->> 9 <> 1 AND (other OR (b.value ->> 9 = 2 AND r.row <> b.value ->> 5))
