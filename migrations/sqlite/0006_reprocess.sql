-- A job that is to be processed again remembers where it stood, for where its processing fails.

PRAGMA user_version = 6;

ALTER TABLE jobs ADD COLUMN was TEXT                                        -- its state before; NULL = it is not processed again
    CHECK (was IS NULL OR (was IN ('succeeded', 'failed') AND state = 'fetched'));
