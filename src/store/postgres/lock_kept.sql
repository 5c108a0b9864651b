-- Results in their order, histograms and counts are written by one transaction at a time. The last of the locks: whoever has it
-- waits for nobody.
SELECT pg_advisory_xact_lock(1751217516, 2)
