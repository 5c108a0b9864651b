-- A row a run: never many.
SELECT count(*), count(*) FILTER (WHERE outcome = 'crashed') FROM runs
