-- Who has these keys already; $1 = keys. Gives the place of each, from 0.
SELECT b.n - 1, j.id FROM unnest($1::text[]) WITH ORDINALITY AS b(key, n) JOIN jobs AS j ON j.key = b.key
