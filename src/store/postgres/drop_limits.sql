-- Limits that are no longer kept; $1 = names of those that are.
DELETE FROM limits WHERE name <> ALL ($1::text[])
