-- Jobs that wait for another try wait as long as they would have; ?1 = by how much the wall clock was set, 0 due = at once.
UPDATE jobs SET due_at_us = max(due_at_us + ?1, 1)
WHERE run_id IS NULL AND finished_at_us IS NULL AND state IN ('pending', 'fetched') AND due_at_us > 0
