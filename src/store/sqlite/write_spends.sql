-- Permits as they are given; ?1 = JSON array of [limit, void after, permits].
INSERT INTO spends (limit_name, until_us, permits)
SELECT s.value ->> 0, s.value ->> 1, s.value ->> 2 FROM jsonb_each(?1) AS s
