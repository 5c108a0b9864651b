-- Imports none of whose unfinished jobs is as it was made; ?1 = new template, ?2 = old, ?3 = JSON array of the other imports.
UPDATE imports SET template = ?1 WHERE template = ?2 AND id NOT IN (SELECT value FROM json_each(?3))
