-- Whether there is a run, and which is the last; $1 = its id.
SELECT EXISTS (SELECT 1 FROM runs WHERE id = $1::text::bigint), (SELECT max(id) FROM runs)
