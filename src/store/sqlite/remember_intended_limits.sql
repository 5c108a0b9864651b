-- As remember_limits.sql, for what intend.sql has written down; where no run has begun yet, that is where limits are kept.
INSERT INTO meta (name, value)
SELECT 'intended', json_object('after', (SELECT coalesce(max(id), 0) FROM runs), 'settings', json_object('limits', json(?1)))
WHERE NOT EXISTS (SELECT 1 FROM runs) OR EXISTS (SELECT 1 FROM meta WHERE name = 'intended')
ON CONFLICT (name) DO UPDATE
SET value = json_set(value, '$.settings', json_set(value ->> 'settings', '$.limits', json(?1)))
