-- The last run, which may be going still, is to have been told these limits: so the next one takes them over.
-- ?1 = JSON array, as in its settings.
UPDATE runs SET settings = json_set(settings, '$.limits', json(?1)) WHERE id = (SELECT max(id) FROM runs)
