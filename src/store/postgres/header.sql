-- Whose schema it is, how new, how new the server, and whether it may be written. Read before anything else is done to it.
SELECT current_setting('server_version_num')::integer,
       to_regclass('receipts') IS NOT NULL AND to_regclass('meta') IS NOT NULL,
       (SELECT string_agg(name, ', ') FROM unnest(ARRAY['meta', 'runs', 'imports', 'jobs', 'requests', 'attempts', 'responses',
            'results', 'limits', 'spends', 'counts', 'minutes', 'rejected', 'receipts']) AS t(name)
        WHERE to_regclass(name) IS NOT NULL),
       current_schema()::text,
       pg_is_in_recovery()
