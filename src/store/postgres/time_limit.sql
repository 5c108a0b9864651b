-- A query of somebody's may work so long, in milliseconds; 0 = as long as it takes.
SELECT set_config('statement_timeout', $1, true)
