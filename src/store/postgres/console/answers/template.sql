-- How rows of an input became requests; $1 = the input. Its own import first, else the last of any.
SELECT template FROM imports WHERE template IS NOT NULL ORDER BY source = $1::text DESC, id DESC LIMIT 1
