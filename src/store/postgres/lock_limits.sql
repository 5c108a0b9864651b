-- Who hands permits out, moves or gives them back does so alone, so that all workers together keep every limit, and takes this lock
-- before those of counts and histograms. The shortest window first: it is the one that is paced.
SELECT name, permits, window_us, jitter_us, paused_until_us, paced_until_us FROM limits ORDER BY window_us, name
FOR NO KEY UPDATE
