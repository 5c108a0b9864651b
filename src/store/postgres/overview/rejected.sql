-- Kept by the imports: the rejected rows themselves are not counted.
SELECT coalesce(sum(rejected), 0)::bigint FROM imports
