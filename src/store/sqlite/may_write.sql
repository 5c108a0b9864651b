-- Changes nothing, but fails where nothing may be written; BEGIN IMMEDIATE does not.
UPDATE meta SET value = value WHERE name = ''
