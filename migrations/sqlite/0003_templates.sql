-- An import remembers how its rows became requests, so that a change of mind is seen before it costs a request.

PRAGMA user_version = 3;

ALTER TABLE imports ADD COLUMN template TEXT CHECK (json_valid(template));  -- the request flags, secrets by name; NULL = none were
                                                                            -- given: the library made the requests
ALTER TABLE imports ADD COLUMN after_run_id INTEGER NOT NULL DEFAULT 0;     -- the last run when it began, 0 = none: which of the two
                                                                            -- is newer is not for the clock to say
ALTER TABLE imports ADD COLUMN updated INTEGER NOT NULL DEFAULT 0 CHECK (updated >= 0);  -- jobs not sent yet whose request it replaced
