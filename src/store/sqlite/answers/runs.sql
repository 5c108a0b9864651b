-- Whether there is a run, and which is the last; :run = its id.
SELECT EXISTS (SELECT 1 FROM runs WHERE id = :run), (SELECT max(id) FROM runs)
