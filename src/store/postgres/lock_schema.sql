-- Of machines that open a new database at once, the second finds what the first has made.
SELECT pg_advisory_xact_lock(1751217516, 0)
