-- The jobs that rows of an input are about, and about how large each is, without reading it; $1 = keys as a JSON array.
SELECT
    key,
    id,
    import_id,
    coalesce(octet_length(row), 0) + coalesce(octet_length(result), 0)
        + coalesce(octet_length(body), octet_length(body_bytes), 0)
        + coalesce(octet_length(request_body), octet_length(request_body_bytes), 0)
FROM job_view
WHERE key IN (SELECT wanted.value FROM json_array_elements_text($1::json) AS wanted)
