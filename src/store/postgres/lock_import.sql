-- One importer at a time gives ids out.
SELECT pg_advisory_xact_lock(1751217516, 1)
