-- haul's tables. Integer microseconds since 1970 UTC end in `_at_us`, durations in microseconds in `_us`.
-- A job's `state` says only what is durably written; who is working on it is a lease (`run_id`), never a state.

PRAGMA application_id = 0x6861756c; -- "haul": tells our files from others before anything is written to them
PRAGMA user_version = 1;            -- raised by every migration; a newer file is refused untouched

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,    -- 'database_id': random, part of every Idempotency-Key
    value TEXT NOT NULL                 -- what it is
) STRICT, WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES ('database_id', lower(hex(randomblob(16))));

CREATE TABLE runs (
    id              INTEGER PRIMARY KEY,                    -- in the order in which they began
    started_at_us   INTEGER NOT NULL,   -- when `haul run` or `haul resume` took the database
    ended_at_us     INTEGER,            -- when it ended; NULL while it runs, and after a crash until the next run notes it
    heartbeat_at_us INTEGER NOT NULL,   -- last sign of life; for people: on one machine a lock file decides who may run
    host            TEXT NOT NULL,      -- machine it ran on
    pid             INTEGER NOT NULL,   -- process it ran in
    version         TEXT NOT NULL,      -- version of haul
    settings        TEXT NOT NULL CHECK (json_valid(settings)),  -- what the next run takes over; never a secret
    minute_before   TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(minute_before)),  -- what `minutes` held already of the minute
                                                            -- in which it began: [[stage, up_to_us, n], ..]
    control         TEXT CHECK (control IN ('stop', 'pause')),   -- what another terminal asks of this run
    outcome         TEXT                -- how it ended; 'crashed' = without a word
                    CHECK (outcome IN ('drained', 'stopped', 'hopeless', 'interrupted', 'error', 'crashed')),
    CHECK ((ended_at_us IS NULL) = (outcome IS NULL))
) STRICT;

CREATE TABLE imports (
    id            INTEGER PRIMARY KEY,                      -- in the order in which they began
    source        TEXT NOT NULL,                        -- file name as given, '-' for standard input
    started_at_us INTEGER NOT NULL,                         -- when its first row was read
    rows          INTEGER NOT NULL DEFAULT 0 CHECK (rows >= 0),      -- rows read so far
    added         INTEGER NOT NULL DEFAULT 0 CHECK (added >= 0),     -- jobs that were new
    rejected      INTEGER NOT NULL DEFAULT 0 CHECK (rejected >= 0),  -- rows that made no job
    CHECK (added + rejected <= rows)
) STRICT;

CREATE TABLE rejected (
    import_id INTEGER NOT NULL REFERENCES imports (id),  -- the import that read the row
    line      INTEGER NOT NULL CHECK (line > 0),        -- line of the input on which the row begins, from 1
    reason    TEXT NOT NULL,                            -- what is wrong, and what would be right
    text      TEXT NOT NULL,                            -- the row, cut to 1,000 characters
    PRIMARY KEY (import_id, line)
) STRICT, WITHOUT ROWID;

-- Thin, because it is scanned often: what a job says lives in `requests`.
CREATE TABLE jobs (
    id             INTEGER PRIMARY KEY,                     -- in the order of the import; gaps mean nothing
    key            TEXT NOT NULL UNIQUE CHECK (key <> ''),  -- identity: importing the same key again adds nothing
    import_id      INTEGER NOT NULL REFERENCES imports (id),  -- the import that brought it
    line           INTEGER NOT NULL CHECK (line > 0),       -- line of its input, from 1
    state          TEXT NOT NULL DEFAULT 'pending'          -- what is durably written of it
                   CHECK (state IN ('pending', 'fetched', 'succeeded', 'failed', 'cancelled')),
    attempts       INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),   -- claims so far: the fence of every write-back
    failures       INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),   -- what --max-attempts counts; a 429, a stop or a crash costs none
    generation     INTEGER NOT NULL DEFAULT 0 CHECK (generation >= 0), -- complete answers so far; part of the Idempotency-Key
    due_at_us      INTEGER NOT NULL DEFAULT 0,              -- not before this time; 0 = as soon as possible.
                                                            -- pending and leased: its permit is void after this time
    run_id         INTEGER REFERENCES runs (id),            -- the lease: which run works on it now; NULL = nobody
    crashes        INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),    -- times the process died while it alone was being processed
    error_type     TEXT,                                    -- of the last failure; 'interrupted' = leased when a run died
    error_message  TEXT,                                    -- the same failure in words; without URL and secrets
    created_at_us  INTEGER NOT NULL,                        -- when it was imported
    finished_at_us INTEGER,                                 -- when it succeeded, failed for good or was cancelled
    CHECK (run_id IS NULL OR state IN ('pending', 'fetched')),
    CHECK ((finished_at_us IS NULL) = (state IN ('pending', 'fetched'))),
    CHECK ((error_type IS NULL) = (error_message IS NULL)),
    CHECK (state <> 'failed' OR error_type IS NOT NULL),
    CHECK (state <> 'succeeded' OR error_type IS NULL)
) STRICT;

-- What a claim walks: flat in the number of finished jobs. Its condition is not `state IN (..)`: a query would have to repeat
-- that beside its `state = ..`, and SQLite could search by the IN and sort all that is pending (it did, after an ANALYZE).
CREATE INDEX jobs_ready ON jobs (state, due_at_us, id) WHERE run_id IS NULL AND finished_at_us IS NULL;
-- What a recovery walks: as small as the concurrency.
CREATE INDEX jobs_leased ON jobs (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE requests (
    job_id  INTEGER PRIMARY KEY REFERENCES jobs (id),       -- the job that sends it
    method  TEXT NOT NULL,                                  -- HTTP method, upper case
    url     TEXT NOT NULL,                                  -- absolute; secrets stand in it by name
    headers TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(headers)),  -- object: name -> value
    body    ANY,                                                    -- text where it is text, else a blob; NULL = none
    row     TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(row))       -- the input row, for processors and exports
) STRICT;

-- One row a claim that reached its stage, written with its outcome; a claim lost to a crash gets one at the next start.
CREATE TABLE attempts (
    job_id        INTEGER NOT NULL REFERENCES jobs (id),  -- the job that was claimed
    attempt       INTEGER NOT NULL CHECK (attempt > 0),   -- the how many-th claim of it, from 1
    run_id        INTEGER NOT NULL REFERENCES runs (id),  -- the run that claimed it
    started_at_us INTEGER,                             -- when the request was sent, or processing began; NULL = lost to a crash
    rate_wait_us  INTEGER CHECK (rate_wait_us >= 0),   -- from claim to send: waiting for the rate limit
    ttfb_us       INTEGER CHECK (ttfb_us >= 0),        -- sent to response headers seen
    fetch_us      INTEGER CHECK (fetch_us >= 0),       -- sent to whole body read
    queue_us      INTEGER CHECK (queue_us >= 0),       -- body read to processing begun: waiting for a CPU
    process_us    INTEGER CHECK (process_us >= 0),     -- in the processor
    latency_us    INTEGER CHECK (latency_us >= 0),     -- sent to result ready: what --sla is about
    within_sla    INTEGER CHECK (within_sla IN (0, 1)),  -- NULL where there is no SLA or no result
    status_code   INTEGER,                                -- of the HTTP response; NULL = none came
    bytes         INTEGER CHECK (bytes >= 0),          -- of the body, after decompression
    error_type    TEXT,                                -- NULL = this attempt did what it should
    error_message TEXT,                                   -- the same failure in words
    PRIMARY KEY (job_id, attempt),
    CHECK ((error_type IS NULL) = (error_message IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE responses (
    job_id        INTEGER PRIMARY KEY REFERENCES jobs (id),  -- one response a job: a later one replaces it
    attempt       INTEGER NOT NULL,                    -- the attempt that brought it
    status_code   INTEGER NOT NULL,                         -- of the HTTP response
    headers       TEXT NOT NULL CHECK (json_valid(headers)),  -- object: lower-case name -> value, or array of values
    body          ANY NOT NULL,                        -- text where it is UTF-8 without NUL, else a blob
    body_encoding TEXT CHECK (body_encoding IN ('zstd')),     -- how `body` is packed; NULL = as it came, after Content-Encoding
    fetched_at_us INTEGER NOT NULL                          -- when its last byte was read
) STRICT;

CREATE TABLE results (
    job_id         INTEGER PRIMARY KEY REFERENCES jobs (id),   -- one result a job: the key makes a second impossible
    attempt        INTEGER NOT NULL,                        -- the attempt that made it
    output         TEXT NOT NULL,                              -- JSON
    processor      TEXT NOT NULL,                              -- name and version of what made it; 'none' = the response as it is
    finished_at_us INTEGER NOT NULL                         -- when it was written
) STRICT;

CREATE TABLE limits (
    name            TEXT NOT NULL PRIMARY KEY,                  -- as given: '20/s'
    permits         INTEGER NOT NULL CHECK (permits > 0),   -- N: at most so many requests
    window_us       INTEGER NOT NULL CHECK (window_us > 0),  -- W: in any window of this length
    jitter_us       INTEGER NOT NULL CHECK (jitter_us >= 0),    -- J: spread between sending and arriving
    paused_until_us INTEGER NOT NULL DEFAULT 0                  -- the server asked us to wait until then; 0 = it did not
) STRICT, WITHOUT ROWID;

-- Permits are written here before they are used, so that the limit holds across a crash.
CREATE TABLE spends (
    limit_name TEXT NOT NULL REFERENCES limits (name) ON DELETE CASCADE,  -- the limit they count in
    until_us   INTEGER NOT NULL,                                -- void after this time
    permits    INTEGER NOT NULL CHECK (permits >= 0),           -- unused ones are given back
    PRIMARY KEY (limit_name, until_us)
) STRICT, WITHOUT ROWID;

-- Kept in every transaction that changes them, so that status never counts a large table.
CREATE TABLE counts (
    state      TEXT NOT NULL,                               -- of the jobs that are counted
    error_type TEXT NOT NULL DEFAULT '',                        -- '' = none
    n          INTEGER NOT NULL CHECK (n >= 0),             -- so many jobs
    PRIMARY KEY (state, error_type)
) STRICT, WITHOUT ROWID;

-- A latency histogram a minute and stage, one row a bucket: percentiles of any span without reading the attempts.
CREATE TABLE minutes (
    minute_at_us INTEGER NOT NULL,                              -- start of the minute in which the attempts ended
    stage        TEXT NOT NULL                                  -- what was measured
                 CHECK (stage IN ('rate_wait', 'ttfb', 'fetch', 'queue', 'process', 'latency')),
    up_to_us     INTEGER NOT NULL,                              -- upper bound of the bucket, within 1/8 of the true value
    n            INTEGER NOT NULL CHECK (n > 0),                -- attempts in this bucket
    late         INTEGER NOT NULL CHECK (late BETWEEN 0 AND n),   -- of these, beyond the SLA (stage 'latency' only)
    failed       INTEGER NOT NULL CHECK (failed BETWEEN 0 AND n), -- of these, failed in this stage
    PRIMARY KEY (minute_at_us, stage, up_to_us)
) STRICT, WITHOUT ROWID;
