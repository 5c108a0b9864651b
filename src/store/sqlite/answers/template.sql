-- How rows of an input became requests; :source = the input. Its own import first, else the last of any.
SELECT template FROM imports WHERE template IS NOT NULL ORDER BY source = :source DESC, id DESC LIMIT 1
