-- Permits of limits that are no longer kept.
DELETE FROM spends WHERE limit_name NOT IN (SELECT name FROM limits)
