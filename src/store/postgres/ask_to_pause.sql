-- Another terminal asks a run to send nothing, or to go on; $1 = the run, $2 = 'pause' or null. What asks it to stop is not taken back.
UPDATE runs SET control = $2 WHERE id = $1 AND ended_at_us IS NULL AND control IS DISTINCT FROM 'stop'
