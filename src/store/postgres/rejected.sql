-- Rejected rows of an import, a page at a time; $1 = import, $2 = line after which, $3 = how many.
SELECT line, reason, text FROM rejected WHERE import_id = $1 AND line > $2 ORDER BY line LIMIT $3
