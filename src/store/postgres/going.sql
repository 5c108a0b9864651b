-- The runs that are going: many workers of one table.
SELECT id FROM runs WHERE ended_at_us IS NULL ORDER BY id
