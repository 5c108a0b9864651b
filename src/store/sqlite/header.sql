-- Whose file it is, and how new. Read before anything else is done to it.
SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version)
