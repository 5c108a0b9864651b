-- Until when the server asked us to wait; 0 = it did not.
SELECT coalesce(max(paused_until_us), 0) FROM limits
