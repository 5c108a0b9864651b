-- What a run is told that imports first; $1 = settings. Should it die before it begins, the next one must not go on without its
-- limits. Counts until a run has begun.
INSERT INTO meta (name, value)
VALUES ('intended', jsonb_build_object('after', (SELECT coalesce(max(id), 0) FROM runs), 'settings', $1::text)::text)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
