-- How often jobs were added or moved, or limits changed.
SELECT value::bigint FROM meta WHERE name = 'changes'
