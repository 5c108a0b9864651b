-- Some keys in their order; $1 = after this one, $2 = before that one.
SELECT id, key FROM jobs WHERE key > $1 AND key < $2 ORDER BY key LIMIT 1000
