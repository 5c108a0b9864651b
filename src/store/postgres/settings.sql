-- What the last run was told.
SELECT settings FROM runs ORDER BY id DESC LIMIT 1
