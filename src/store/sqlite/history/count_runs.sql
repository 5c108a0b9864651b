-- A row a run: never many.
SELECT count(*), count(CASE outcome WHEN 'crashed' THEN 1 END) FROM runs
