-- How far an import has come; $1 = import, $2 rows, $3 added, $4 rejected, $5 updated.
UPDATE imports SET rows = rows + $2, added = added + $3, rejected = rejected + $4, updated = updated + $5 WHERE id = $1
