-- Results are read in the order in which they were committed, page after page, while others are still written.

PRAGMA user_version = 4;

-- (finished_at_us, job_id) is that order: every transaction that writes results gives them one time, later than all there are,
-- so a reader who has seen some never finds another before them. Where the wall clock was set back, results therefore bear
-- times that run on from the last one until the clock has caught up; jobs.finished_at_us says what the clock said.
CREATE INDEX results_in_order ON results (finished_at_us);
