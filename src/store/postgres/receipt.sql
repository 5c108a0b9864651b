-- The last statement of every transaction that writes: should its COMMIT get no answer, this tells what became of it.
-- $1 = the session, $2 = the number of the transaction.
INSERT INTO receipts (session, turn, at_us) VALUES ($1, $2, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
ON CONFLICT (session) DO UPDATE SET turn = excluded.turn, at_us = excluded.at_us
