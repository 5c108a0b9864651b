-- Jobs were added or moved, or limits changed: the runs that are going see it at their next look. lock_kept.sql is taken before.
UPDATE meta SET value = (value::bigint + 1)::text WHERE name = 'changes'
