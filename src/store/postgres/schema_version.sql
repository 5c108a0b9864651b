-- How new the schema is.
SELECT value FROM meta WHERE name = 'schema_version'
