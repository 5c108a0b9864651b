-- A suspect is about to be processed alone; $1 = job, $2 = attempt, $3 = the run.
UPDATE jobs SET crashes = crashes + 1 WHERE id = $1 AND attempts = $2 AND run_id = $3
