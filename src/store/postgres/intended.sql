-- What the last run was told that has not come to its beginning.
SELECT value::jsonb ->> 'settings' FROM meta
WHERE name = 'intended' AND (value::jsonb ->> 'after')::bigint = (SELECT coalesce(max(id), 0) FROM runs)
