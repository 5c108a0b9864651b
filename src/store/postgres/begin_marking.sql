-- Which jobs are being taken up to be processed again; $1 = what is true of them. It stands there until all are: whoever goes
-- on after a death takes up the others too.
INSERT INTO meta (name, value) VALUES ('marking', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value
