-- Whose file it is, how new, and whether there is anything in it. Read before anything else is done to it. sqlx's own
-- table is there alone where the creation of a database was cut off before its first migration.
SELECT (SELECT application_id FROM pragma_application_id),
       (SELECT user_version FROM pragma_user_version),
       (SELECT count(*) FROM sqlite_schema WHERE tbl_name <> '_sqlx_migrations')
