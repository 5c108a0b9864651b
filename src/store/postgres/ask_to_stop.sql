-- Another terminal asks a run to stop; $1 = the run. One that has ended meanwhile has nobody who listens.
UPDATE runs SET control = 'stop' WHERE id = $1 AND ended_at_us IS NULL
