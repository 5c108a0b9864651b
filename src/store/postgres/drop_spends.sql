-- Permits of limits that are no longer kept.
DELETE FROM spends WHERE NOT EXISTS (SELECT 1 FROM limits AS l WHERE l.name = spends.limit_name)
