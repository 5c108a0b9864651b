-- Made with the database.
SELECT value FROM meta WHERE name = 'database_id'
