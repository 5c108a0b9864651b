-- Imports none of whose unfinished jobs is as it was made; $1 = new template, $2 = old, $3 = the other imports.
UPDATE imports SET template = $1 WHERE template = $2 AND id <> ALL ($3::bigint[])
