-- What is true of the jobs that somebody began to take up, and did not come to the end of.
SELECT value FROM meta WHERE name = 'marking'
