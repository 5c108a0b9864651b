//! SQL that somebody typed: reads anything, changes nothing.

mod corpus;
mod views;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use haul::store::StoreError;
use haul::store::sqlite::console::{Console, QueryError, Value};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;

/// A database with a few jobs, and a run that has it open, as it is while jobs run.
pub(crate) struct Fixture {
    dir: TempDir,
    pub(crate) writer: SqliteConnection,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let options = SqliteConnectOptions::new()
            .filename(dir.path().join("haul.db"))
            .create_if_missing(true)
            .page_size(16_384)
            .journal_mode(SqliteJournalMode::Wal)
            .disable_statement_logging();
        let mut writer = options.connect().await.expect("a new database");
        for sql in [
            include_str!("../../migrations/sqlite/0001_tables.sql"),
            include_str!("../../migrations/sqlite/0002_views.sql"),
            include_str!("console/jobs.sql"),
        ] {
            sqlx::raw_sql(sql).execute(&mut writer).await.expect("the schema and some rows");
        }
        Self { dir, writer }
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.dir.path().join("haul.db")
    }

    /// Every file, with its content; but not the shared memory, in which readers note that they read.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries =
            std::fs::read_dir(self.dir.path()).expect("the folder").map(|entry| entry.expect("an entry").path());
        entries.filter(|path| !path.ends_with("haul.db-shm")).map(|path| (path.clone(), content(&path))).collect()
    }

    /// What the program of an attacker may find in its working folder.
    fn in_dir(&self, sql: &str) -> String {
        sql.replace("DIR", self.dir.path().to_str().expect("a plain path"))
    }
}

fn content(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("a file")
}

/// Runs a statement; gives the number of its rows and the first of them.
pub(crate) async fn ask(
    console: &mut Console,
    sql: &str,
    params: &[(String, String)],
    timeout: Duration,
) -> Result<(u64, Vec<Value>), QueryError> {
    let query = console.prepare(sql, params).await?;
    let (mut rows, mut first) = (0, Vec::new());
    let count = |row: &[Value]| {
        if rows == 0 {
            first = row.to_vec();
        }
        rows += 1;
        Ok(ControlFlow::Continue(()))
    };
    console.run(&query, timeout, count).await?;
    Ok((rows, first))
}

#[tokio::test]
async fn no_hostile_statement_changes_a_byte_or_writes_a_file() {
    let fixture = Fixture::new().await;
    let before = fixture.files();
    let mut console = Console::open(&fixture.db()).await.expect("our database");
    for sql in corpus::REFUSED {
        let answer = ask(&mut console, &fixture.in_dir(sql), &[], Duration::from_secs(5)).await;
        assert!(answer.is_err(), "{sql} was answered with {answer:?}");
    }
    for sql in corpus::ENDLESS {
        let answer = ask(&mut console, sql, &[], Duration::from_millis(200)).await;
        let stopped = matches!(answer, Err(QueryError::TimedOut { .. } | QueryError::Sql { .. }));
        assert!(stopped, "{sql} was answered with {answer:?}");
    }
    for sql in corpus::HARMLESS {
        // A row or an error: either will do.
        let _ = ask(&mut console, &fixture.in_dir(sql), &[], Duration::from_secs(2)).await;
    }
    let jobs = ask(&mut console, "SELECT count(*) FROM jobs", &[], Duration::from_secs(5)).await.expect("still works");
    assert_eq!(jobs.1, [Value::Integer(6)]);
    console.close().await.expect("closes");
    assert_eq!(fixture.files(), before);
}

/// The negative control: without the sandbox the same statements do write, and the harness sees it.
#[tokio::test]
async fn the_harness_sees_what_an_open_connection_writes() {
    for sql in ["DELETE FROM results", "VACUUM INTO 'DIR/copy.db'", "ATTACH 'DIR/other.db' AS o; CREATE TABLE o.t (x)"]
    {
        let mut fixture = Fixture::new().await;
        let before = fixture.files();
        let sql = fixture.in_dir(sql);
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut fixture.writer).await.expect("nothing stops it");
        assert_ne!(fixture.files(), before);
    }
}

#[tokio::test]
async fn every_read_that_people_need_works_while_a_run_has_the_database_open() {
    let fixture = Fixture::new().await;
    let mut console = Console::open(&fixture.db()).await.expect("our database");
    for (sql, rows) in corpus::LEGITIMATE {
        let answer = ask(&mut console, sql, &[], Duration::from_secs(5)).await;
        assert_eq!(answer.as_ref().map(|(n, _)| *n).ok(), Some(*rows), "{sql}: {answer:?}");
    }
}

#[tokio::test]
async fn named_parameters_are_bound_with_their_types() {
    let fixture = Fixture::new().await;
    let mut console = Console::open(&fixture.db()).await.expect("our database");
    let params = [("a", "1"), ("b", "2.5"), ("c", "'; DROP TABLE jobs")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    let (_, row) = ask(&mut console, "SELECT :c, @a, $b, :a", &params, Duration::from_secs(5)).await.expect("a row");
    let text = Value::Text("'; DROP TABLE jobs".to_owned());
    assert_eq!(row, [text, Value::Integer(1), Value::Real(2.5), Value::Integer(1)]);
    for (sql, params) in [("SELECT :x", &[][..]), ("SELECT ?", &[]), ("SELECT ?1", &[]), ("SELECT 1", &params)] {
        assert!(ask(&mut console, sql, params, Duration::from_secs(5)).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_mistyped_name_is_answered_with_the_near_one() {
    let fixture = Fixture::new().await;
    let mut console = Console::open(&fixture.db()).await.expect("our database");
    for (sql, hint) in [
        ("SELECT stauts_code FROM job_view", "`status_code`"),
        ("SELECT * FROM job_veiw", "`job_view`"),
        ("SELECT json_extrct(row, '$') FROM job_view", "`json_extract`"),
        ("SELECT 1; SELECT 2", "`SELECT 2`"),
    ] {
        let error = ask(&mut console, sql, &[], Duration::from_secs(5)).await.expect_err(sql).to_string();
        assert!(error.contains(hint), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_slow_reader_of_the_answer_costs_no_time() {
    let fixture = Fixture::new().await;
    let mut console = Console::open(&fixture.db()).await.expect("our database");
    let many = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5000) SELECT x FROM c";
    let query = console.prepare(many, &[]).await.expect("a query");
    let mut rows = 0;
    let slowly = |_: &[Value]| {
        rows += 1;
        if rows % 1_000 == 1 {
            std::thread::sleep(Duration::from_millis(400));
        }
        Ok(ControlFlow::Continue(()))
    };
    console.run(&query, Duration::from_secs(1), slowly).await.expect("two seconds of reading, little work");
    assert_eq!(rows, 5_000);
}

#[tokio::test]
async fn a_query_that_is_broken_off_leaves_the_console_usable() {
    let fixture = Fixture::new().await;
    let mut console = Console::open(&fixture.db()).await.expect("our database");
    // After its first row it would go on for ever, without another.
    let endless = "SELECT 1 UNION ALL SELECT count(*) FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) \
                   SELECT x FROM c)";
    let query = console.prepare(endless, &[]).await.expect("a query");
    console.run(&query, Duration::MAX, |_| Ok(ControlFlow::Break(()))).await.expect("one row is enough");
    let (rows, _) = ask(&mut console, "SELECT 1", &[], Duration::from_secs(5)).await.expect("works on");
    assert_eq!(rows, 1);
    console.close().await.expect("closes");
}

#[tokio::test]
async fn what_is_not_ours_is_named_and_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let open = async |name: &str| Console::open(&at(name)).await.expect_err("not ours");
    assert!(matches!(open("none.db").await, StoreError::Missing { .. }));
    assert!(!at("none.db").exists());
    std::fs::write(at("empty.db"), "").expect("written");
    std::fs::write(at("text.db"), "hello, world\n".repeat(999)).expect("written");
    for name in ["empty.db", "text.db", "."] {
        assert!(matches!(open(name).await, StoreError::Foreign { .. }), "{name}");
    }
    for (name, sql) in [
        ("foreign.db", "CREATE TABLE t (x)"),
        ("newer.db", "PRAGMA application_id = 0x6861756c; PRAGMA user_version = 999; CREATE TABLE t (x)"),
    ] {
        let options = SqliteConnectOptions::new().filename(at(name)).create_if_missing(true);
        let mut conn = options.connect().await.expect("a database");
        sqlx::raw_sql(sql).execute(&mut conn).await.expect("written");
        conn.close().await.expect("closed");
        let before = content(&at(name));
        match open(name).await {
            StoreError::Newer { found: 999, .. } => assert_eq!(name, "newer.db"),
            StoreError::Foreign { .. } => assert_eq!(name, "foreign.db"),
            other => panic!("{name}: {other}"),
        }
        assert_eq!(content(&at(name)), before);
    }
}

#[tokio::test]
async fn a_damaged_database_gives_an_error_or_rows_but_never_a_panic() {
    let fixture = Fixture::new().await;
    let whole = fixture.db();
    fixture.writer.close().await.expect("closed, its log written back");
    let bytes = content(&whole);
    let damaged = whole.with_file_name("damaged.db");
    for step in 0..60 {
        let mut copy = bytes.clone();
        for i in 0..32 {
            let at = (step * 7_919 + i * 104_729) % copy.len();
            copy[at] ^= 0xff;
        }
        copy.truncate(bytes.len() - step * 512);
        std::fs::write(&damaged, &copy).expect("written");
        let Ok(mut console) = Console::open(&damaged).await else { continue };
        for sql in ["SELECT * FROM job_view", "SELECT * FROM failures", "SELECT * FROM nothing"] {
            let _ = ask(&mut console, sql, &[], Duration::from_secs(2)).await;
        }
        let _ = console.close().await;
    }
}
