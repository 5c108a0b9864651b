-- The clock by which all workers go.
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
