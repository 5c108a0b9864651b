-- New jobs are numbered from here.
SELECT coalesce(max(id), 0) FROM jobs
