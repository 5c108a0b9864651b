-- Which transaction of this session was committed last; $1 = the session. Waits for one whose end is just being written.
SELECT turn FROM receipts WHERE session = $1 FOR UPDATE
