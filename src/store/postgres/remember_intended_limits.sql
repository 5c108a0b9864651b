-- The same for what intend.sql has written down; where no run has begun yet, that is where limits are kept. $1 = JSON array.
INSERT INTO meta (name, value)
SELECT 'intended', jsonb_build_object('after', (SELECT coalesce(max(id), 0) FROM runs),
                                      'settings', jsonb_build_object('limits', $1::jsonb)::text)::text
WHERE NOT EXISTS (SELECT 1 FROM runs) OR EXISTS (SELECT 1 FROM meta WHERE name = 'intended')
ON CONFLICT (name) DO UPDATE
SET value = jsonb_set(meta.value::jsonb, '{settings}',
                      to_jsonb(jsonb_set((meta.value::jsonb ->> 'settings')::jsonb, '{limits}', $1::jsonb)::text))::text
