-- How large the stored responses of fetched jobs are that are about to be leased, in their order; ?1 = their ids as a JSON array.
-- What is packed is taken to be ten times as large in memory. `octet_length` reads no body.
SELECT json_group_array(octet_length(r.body) * iif(r.body_encoding IS NULL, 1, 10))
FROM jsonb_each(?1) AS claimed CROSS JOIN responses AS r ON r.job_id = claimed.value
