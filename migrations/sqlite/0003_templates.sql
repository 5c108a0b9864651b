-- An import remembers how its rows became requests, so that a change of mind is seen before it costs a request.

PRAGMA user_version = 3;

ALTER TABLE imports ADD COLUMN template TEXT CHECK (json_valid(template));  -- the request flags, secrets by name; NULL = none were
                                                                            -- given: the library made the requests
