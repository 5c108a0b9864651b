-- How large the stored responses of fetched jobs are that are about to be leased, in their order; $1 = their ids. What is packed is
-- taken to be ten times as large in memory.
SELECT CASE WHEN r.body_encoding IS NULL THEN coalesce(octet_length(r.body), octet_length(r.body_bytes))::bigint
            ELSE octet_length(r.body_bytes)::bigint * 10 END
FROM unnest($1::bigint[]) WITH ORDINALITY AS claimed(id, n)
JOIN responses AS r ON r.job_id = claimed.id
ORDER BY claimed.n
