-- What the last run was told that has not come to its beginning.
SELECT value ->> 'settings' FROM meta
WHERE name = 'intended' AND value ->> 'after' = (SELECT coalesce(max(id), 0) FROM runs)
