-- All of them are taken up.
DELETE FROM meta WHERE name = 'marking'
