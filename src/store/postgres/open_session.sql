-- A connection that writes; $1 = its name, or null for a new one. Those of a week ago are nobody's.
WITH old AS (DELETE FROM receipts WHERE at_us < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 604800000000)
INSERT INTO receipts (session, turn, at_us)
VALUES (coalesce($1, gen_random_uuid()::text), 0, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
ON CONFLICT (session) DO UPDATE SET at_us = excluded.at_us
RETURNING session
