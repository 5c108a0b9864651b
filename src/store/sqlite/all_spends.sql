-- All permits that are written down; a bounded number of rows, for those of long windows share buckets.
SELECT limit_name, until_us, permits FROM spends
