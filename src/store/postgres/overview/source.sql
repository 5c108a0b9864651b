-- Where the first jobs came from.
SELECT source FROM imports ORDER BY id LIMIT 1
