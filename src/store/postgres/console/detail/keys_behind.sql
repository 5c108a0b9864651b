-- What stands behind a key that is none, those that it begins first of all; $1 = the key.
SELECT key FROM jobs WHERE key > $1::text ORDER BY key LIMIT 2
