-- Whose schema it is, how new, how new the server, and whether it may be written. Read before anything else is done to it.
-- The tables are looked for in pg_class: to_regclass() answers from what the session remembers, and that another one has made
-- them meanwhile it would not see.
WITH there AS (
    SELECT known.name, nth
    FROM unnest(ARRAY['meta', 'runs', 'imports', 'jobs', 'requests', 'attempts', 'responses', 'results', 'limits', 'spends',
                      'counts', 'minutes', 'rejected', 'receipts']) WITH ORDINALITY AS known(name, nth)
    JOIN pg_class ON relname = known.name
    JOIN pg_namespace ON pg_namespace.oid = relnamespace AND nspname = current_schema()
)
SELECT current_setting('server_version_num')::integer,
       (SELECT count(*) = 2 FROM there WHERE name IN ('receipts', 'meta')),
       (SELECT string_agg(name, ', ' ORDER BY nth) FROM there),
       current_schema()::text,
       pg_is_in_recovery()
