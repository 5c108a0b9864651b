-- Whether a job that is not finished came with this template; $1 = the template. Walks what is leased and what is ready until it finds
-- one, so it is asked only where a secret is missing.
SELECT EXISTS (SELECT 1 FROM jobs AS j JOIN imports AS i ON i.id = j.import_id WHERE j.run_id IS NOT NULL AND i.template = $1)
    OR EXISTS (SELECT 1 FROM jobs AS j JOIN imports AS i ON i.id = j.import_id
               WHERE j.run_id IS NULL AND j.finished_at_us IS NULL AND i.template = $1)
