-- What stands before a key that is none, nearest first: two looks into the index; $1 = the key.
SELECT key FROM jobs WHERE key < $1::text ORDER BY key DESC LIMIT 2
