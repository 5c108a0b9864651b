-- What another terminal asks of this run.
SELECT control FROM runs WHERE id = ?1
