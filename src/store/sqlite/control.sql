-- What another terminal asks of this run; a run that another one has ended (somebody deleted the lock file) must stop too.
SELECT iif(ended_at_us IS NULL, control, 'stop') FROM runs WHERE id = ?1
