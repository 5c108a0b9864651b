-- Every column there is, those of the views first: they are the ones to be typed.
SELECT DISTINCT c.name
FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
WHERE t.type IN ('table', 'view')
ORDER BY t.type DESC
