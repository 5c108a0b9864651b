-- The jobs that rows of an input are about, and about how large each is, without reading it; ?1 = keys as a JSON array.
SELECT
    key,
    id,
    import_id,
    coalesce(octet_length(row), 0) + coalesce(octet_length(result), 0) + coalesce(octet_length(body), 0)
        + coalesce(octet_length(request_body), 0)
FROM job_view
WHERE key IN (SELECT value FROM json_each(?1))
