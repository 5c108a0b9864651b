-- The schema is as new as this; $1 = its version.
UPDATE meta SET value = $1 WHERE name = 'schema_version'
