//! S13: databases of every schema there was, with jobs in every state. The program brings them up to date, whatever kills it
//! meanwhile, and takes up what is left to do.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use haul::fail_point::Point;
use haul::store::sqlite::SCHEMA_VERSION;
use sha2::{Digest, Sha256};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, Connection, SqlSafeStr};

use crate::resume::bench::{Bench, done};
use crate::row::{Figures, Row};
use crate::server::{Script, Server};
use crate::trial::{Trial, sound};

/// Seen failing with a migration that is committed before the rest of the opening.
pub(crate) const ROW: Row = Row { name: "S13", what: "databases of every earlier schema", run };

/// Jobs for a server: an import, so many rows, and their counts, as the first haul wrote them.
const JOBS: &[&str] = &[
    "INSERT INTO imports (source, started_at_us, rows, added) VALUES ('old.txt', 1, ?2, ?2)",
    "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
     INSERT INTO jobs (key, import_id, line, created_at_us) SELECT printf('%04d', i), 1, i + 1, 1 FROM n",
    "INSERT INTO requests (job_id, method, url) SELECT id, 'GET', ?1 || '/' || key FROM jobs",
    "INSERT INTO counts (state, n) VALUES ('pending', ?2)",
];

/// Jobs of each kind: to be sent, tried once and to be tried again, sent when the run died, fetched, being processed when it died,
/// succeeded, failed for want of an answer, failed in processing, cancelled.
const EACH: usize = 5;
/// Of these kinds, which are sent, which come to succeed, which fail and which were held by the run that died.
const SENT: usize = 3 * EACH;
const SUCCEEDED: usize = 6 * EACH;
const FAILED: usize = 2 * EACH;
const HELD: usize = 2 * EACH;

/// What makes jobs of one kind those of each kind, after a run that died. `?2` is how many there are of each.
const LIVED: &[&str] = &[
    "INSERT INTO runs (started_at_us, heartbeat_at_us, host, pid, version, settings) VALUES (1000, 2000, 'old', 1, '0.1.0', '{}')",
    "UPDATE jobs SET line = (id - 1) / ?2 + 1",
    "UPDATE jobs SET attempts = 1 WHERE line BETWEEN 2 AND 8",
    "UPDATE jobs SET failures = 1, due_at_us = 1000, error_type = 'timeout', error_message = 'no answer' WHERE line = 2",
    "UPDATE jobs SET due_at_us = 5000, run_id = 1 WHERE line = 3",
    "UPDATE jobs SET state = 'fetched', generation = 1 WHERE line IN (4, 5)",
    "UPDATE jobs SET attempts = 2, run_id = 1 WHERE line = 5",
    "UPDATE jobs SET state = 'succeeded', generation = 1, finished_at_us = 3000 WHERE line = 6",
    "UPDATE jobs SET state = 'failed', failures = 1, finished_at_us = 3000, error_type = 'timeout', error_message = 'no answer'
     WHERE line = 7",
    "UPDATE jobs SET state = 'failed', generation = 1, finished_at_us = 3000, error_type = 'process_error', error_message = 'no'
     WHERE line = 8",
    "UPDATE jobs SET state = 'cancelled', finished_at_us = 3000 WHERE line = 9",
    "INSERT INTO attempts (job_id, attempt, run_id, started_at_us, fetch_us, error_type, error_message)
     SELECT id, 1, 1, 1500, 20, error_type, error_message FROM jobs WHERE line IN (2, 4, 5, 6, 7, 8)",
    "INSERT INTO responses (job_id, attempt, status_code, headers, body, fetched_at_us)
     SELECT id, 1, 200, '{}', '\"stored\"', 2000 FROM jobs WHERE line IN (4, 5, 6, 8)",
    "INSERT INTO results (job_id, attempt, output, processor, finished_at_us)
     SELECT id, 1, '\"old\"', 'none', 3000 FROM jobs WHERE line = 6",
    "UPDATE jobs SET line = id",
    "UPDATE imports SET rows = rows + 1, rejected = 1",
    "INSERT INTO rejected (import_id, line, reason, text) VALUES (1, 999, 'no URL', '?')",
    "INSERT INTO limits (name, permits, window_us, jitter_us) VALUES ('20/s', 20, 1000000, 20000)",
    "INSERT INTO spends (limit_name, until_us, permits) VALUES ('20/s', 5000, 5)",
    "INSERT INTO minutes (minute_at_us, stage, up_to_us, n, late, failed) VALUES (0, 'fetch', 24, 5, 0, 0)",
    "DELETE FROM counts",
    "INSERT INTO counts (state, error_type, n) SELECT state, coalesce(error_type, ''), count(*) FROM jobs GROUP BY 1, 2",
];

/// What is in use somewhere never changes: the program would refuse a database that was made with other words. A new schema is a
/// new file, and joins these when it is in use.
const KEPT: [(&str, &str); 6] = [
    ("0001_tables.sql", "3885b0e0bef50814"),
    ("0002_views.sql", "6c39e4443b1f2a4c"),
    ("0003_templates.sql", "67316e514d624d47"),
    ("0004_results_order.sql", "6a1db364efbd711a"),
    ("0005_boot_time.sql", "80fc41674569b385"),
    ("0006_reprocess.sql", "9aa7a4f330edb842"),
];

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");

fn run(figures: &mut Figures) {
    for (name, hash) in KEPT {
        let found = format!("{:x}", Sha256::digest(fs::read(Path::new(FOLDER).join(name)).expect("a migration")));
        assert!(found.starts_with(hash), "{name} is not what databases were made with: {found}");
    }
    let (mut databases, mut kills) = (0, 0);
    for version in 1..=SCHEMA_VERSION {
        let ways =
            [&[][..], &[Point::Migrated], &[Point::Opened], &[Point::Migrated, Point::Migrated, Point::LeasesFreed]];
        for way in ways {
            // The newest is not migrated, so nobody dies while it is.
            if version == SCHEMA_VERSION && way.contains(&Point::Migrated) {
                continue;
            }
            tried(version, way);
            databases += 1;
            kills += way.len() as u64;
        }
    }
    figures.note("versions", SCHEMA_VERSION);
    figures.note("databases", databases);
    figures.note("kills", kills);
}

/// Dies at each of these moments, one process after the other, and then goes on to the end.
fn tried(version: i64, deaths: &[Point]) {
    let server = Server::start(Script::ok());
    let mut trial = Trial::new(Bench::empty(), server);
    let root = trial.server.url();
    make(&trial.bench.db(), &root, 9 * EACH, version, &[JOBS, LIVED].concat(), EACH);
    let what = format!("schema {version}, killed at {deaths:?}");
    for point in deaths {
        let killed = trial.haul_failing(&["resume"], &format!("{}:1", point.name()));
        assert!(trial.dies(killed).is_ok(), "{what}: it does not come to that");
        let now = trial.bench.number("PRAGMA user_version");
        assert_eq!(
            now,
            if *point == Point::Migrated { version } else { SCHEMA_VERSION },
            "{what}: all of it or nothing"
        );
    }
    assert_eq!(trial.server.total(), 0, "{what}: nothing was sent");
    let bench = &trial.bench;
    bench.run(&["resume"]).exits(3);
    sound(&bench.db());
    assert_eq!(bench.number("PRAGMA user_version"), SCHEMA_VERSION, "{what}");
    for (sql, expected) in [
        ("SELECT count(*) FROM jobs WHERE state = 'succeeded'", SUCCEEDED),
        ("SELECT count(*) FROM results", SUCCEEDED),
        ("SELECT count(*) FROM results WHERE output = '\"old\"'", EACH),
        ("SELECT count(*) FROM results WHERE output = '\"stored\"'", 2 * EACH),
        ("SELECT count(*) FROM jobs WHERE state = 'failed'", FAILED),
        ("SELECT count(*) FROM jobs WHERE state = 'cancelled'", EACH),
        ("SELECT count(*) FROM attempts WHERE error_type = 'interrupted'", HELD),
        ("SELECT count(*) FROM rejected", 1),
    ] {
        assert_eq!(bench.number(sql), expected as i64, "{what}: {sql}");
    }
    assert_eq!(trial.server.total(), SENT as u64, "{what}: what was to be sent is sent, once");
}

/// Makes a database of the first schema with so many jobs.
pub(crate) fn old(path: &Path, root: &str, jobs: usize) {
    make(path, root, jobs, 1, JOBS, jobs);
}

fn make(path: &Path, root: &str, jobs: usize, version: i64, rows: &[&'static str], each: usize) {
    done(async {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .page_size(16_384)
            .journal_mode(SqliteJournalMode::Wal);
        let mut connection = SqliteConnection::connect_with(&options).await.expect("a database");
        let migrator = Migrator::with_migrations(migrations(version));
        migrator.run_direct(None, &mut connection, false).await.expect("the schema");
        for (nth, sql) in rows.iter().enumerate() {
            let many = i64::try_from(if nth < JOBS.len() { jobs } else { each }).expect("few");
            sqlx::query(*sql).bind(root).bind(many).execute(&mut connection).await.expect(sql);
        }
        connection.close().await.expect("closed");
    });
}

/// The first so many.
fn migrations(version: i64) -> Vec<Migration> {
    let folder = fs::read_dir(FOLDER).expect("the migrations");
    let mut paths: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let migration = |(version, path)| {
        let sql = fs::read_to_string(path).expect("a migration");
        let sql = AssertSqlSafe(sql).into_sql_str();
        Migration::new(version, Cow::Borrowed("an old one"), MigrationType::Simple, sql, false)
    };
    let all: Vec<_> = (1..).zip(paths).map(migration).collect();
    assert_eq!(all.len() as i64, SCHEMA_VERSION, "a file a version");
    all.into_iter().take(usize::try_from(version).expect("a version")).collect()
}
