-- The number of a job; $1 = its key.
SELECT id FROM jobs WHERE key = $1::text
