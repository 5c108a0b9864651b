//! Opening a database: what is ours is brought up to date, what is not is not touched.

mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use haul::settings::Durability;
use haul::store::sqlite::{APPLICATION_ID, SCHEMA_VERSION, SqliteStore};
use haul::store::{NewRun, Store, StoreError};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

async fn open(path: &Path, create: bool) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, Durability::Crash, create).await
}

fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("haul.db");
    (dir, path)
}

/// A connection as any program may have one.
async fn plain(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.disable_statement_logging().connect().await.expect("a connection")
}

async fn write_with(path: &Path, sql: &'static str) {
    let mut conn = plain(path).await;
    sqlx::raw_sql(sql).execute(&mut conn).await.expect(sql);
    conn.close().await.expect("closed");
}

/// Every file of a folder with its content.
fn files(dir: &TempDir) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(dir.path()).expect("the folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| (path.clone(), std::fs::read(&path).expect("a file"))).collect()
}

/// Whether a run can begin in it, and the schema is whole.
async fn is_usable(store: &SqliteStore, path: &Path) {
    store.begin_import("rows.csv", None, 1).await.expect("an import");
    let run = NewRun {
        host: String::new(),
        pid: 1,
        version: String::new(),
        settings: "{}".into(),
        limits: Vec::new(),
        boot: None,
        on_uncertain: Default::default(),
    };
    assert_eq!(store.recover(&run, 1).await.expect("recover").database_id.len(), 32);
    let mut conn = plain(path).await;
    for (pragma, expected) in [
        ("PRAGMA user_version", SCHEMA_VERSION),
        ("PRAGMA application_id", APPLICATION_ID),
        ("PRAGMA page_size", 16_384),
        ("SELECT count(*) FROM job_view", 0),
        ("SELECT count(*) FROM meta", 1),
        ("SELECT max(version) FROM _sqlx_migrations", SCHEMA_VERSION),
    ] {
        let found: i64 = sqlx::query_scalar(pragma).fetch_one(&mut conn).await.expect(pragma);
        assert_eq!(found, expected, "{pragma}");
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut conn).await.expect("a mode");
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn where_nothing_is_nothing_is_made_unless_asked_for() {
    let (dir, path) = folder();
    assert!(matches!(open(&path, false).await, Err(StoreError::Missing { .. })));
    assert!(files(&dir).is_empty());
    let far = dir.path().join("no/such/folder/haul.db");
    assert!(matches!(open(&far, false).await, Err(StoreError::Missing { .. })));
    let error = open(&far, true).await.expect_err("no folder is made").to_string();
    assert!(error.contains("no/such/folder/haul.db"), "{error}");
    is_usable(&open(&path, true).await.expect("a new database"), &path).await;
}

#[tokio::test]
async fn an_empty_file_is_no_database_but_can_become_one() {
    let (dir, path) = folder();
    std::fs::write(&path, "").expect("an empty file");
    assert!(matches!(open(&path, false).await, Err(StoreError::Missing { .. })));
    assert_eq!(files(&dir), BTreeMap::from([(path.clone(), Vec::new())]));
    is_usable(&open(&path, true).await.expect("a new database"), &path).await;
}

#[tokio::test]
async fn what_is_not_ours_or_newer_is_not_touched() {
    let (dir, path) = folder();
    std::fs::create_dir(dir.path().join("folder")).expect("a folder");
    assert!(matches!(open(&dir.path().join("folder"), true).await, Err(StoreError::Foreign { .. })));
    std::fs::remove_dir(dir.path().join("folder")).expect("it is still empty");
    std::fs::write(&path, "a letter to my aunt\n".repeat(500)).expect("a letter");
    refuses(&dir, &path, |error| matches!(error, StoreError::Foreign { .. })).await;
    for (sql, newer) in [
        ("CREATE TABLE jobs (id)", false),
        ("PRAGMA journal_mode = wal; CREATE TABLE jobs (id)", false),
        ("CREATE TABLE jobs (id); PRAGMA user_version = 1", false),
        ("PRAGMA application_id = 7", false),
        ("PRAGMA user_version = 7", false),
        ("PRAGMA application_id = 0x6861756c; PRAGMA user_version = 1000", true),
        ("PRAGMA journal_mode = wal; PRAGMA application_id = 0x6861756c; PRAGMA user_version = 1000", true),
    ] {
        std::fs::remove_file(&path).expect("the last one");
        write_with(&path, sql).await;
        refuses(&dir, &path, |error| match error {
            StoreError::Newer { found, known, .. } => newer && (*found, *known) == (1000, SCHEMA_VERSION),
            StoreError::Foreign { .. } => !newer,
            _ => false,
        })
        .await;
    }
}

async fn refuses(dir: &TempDir, path: &Path, expected: impl Fn(&StoreError) -> bool) {
    let before = files(dir);
    for create in [false, true] {
        let error = open(path, create).await.expect_err("it is refused");
        assert!(expected(&error), "{error:?}");
        assert!(error.to_string().contains("haul.db"), "it is named: {error}");
    }
    // Whoever reads a database that has a log leaves an empty log and shared memory beside it: nothing of it is content.
    let mut after = files(dir);
    after.retain(|path, content| before.contains_key(path) || !content.is_empty() && !path.ends_with("haul.db-shm"));
    assert!(after == before, "every file is what it was, byte for byte");
}

#[tokio::test]
async fn a_creation_that_was_cut_off_is_finished() {
    for cut_off in [
        // Before the first migration, when migrations were not one transaction: sqlx's own table is there alone.
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
             installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum BLOB NOT NULL,
             execution_time BIGINT NOT NULL)",
        "VACUUM",
        "PRAGMA page_size = 16384; PRAGMA journal_mode = wal",
    ] {
        let (_dir, path) = folder();
        write_with(&path, "PRAGMA page_size = 16384; VACUUM").await;
        write_with(&path, cut_off).await;
        assert!(matches!(open(&path, false).await, Err(StoreError::Missing { .. })), "{cut_off}");
        is_usable(&open(&path, true).await.expect(cut_off), &path).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn its_files_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, path) = folder();
    let store = open(&path, true).await.expect("a database");
    store.begin_import("rows.csv", None, 1).await.expect("an import");
    let names = files(&dir).into_keys().collect::<Vec<_>>();
    assert_eq!(names.len(), 3, "the log and the shared memory too: {names:?}");
    for name in names {
        let mode = std::fs::metadata(&name).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", name.display());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_may_not_be_written_is_refused_by_name_at_once() {
    use std::os::unix::fs::PermissionsExt;
    for (of_file, of_dir) in [(0o400, 0o700), (0o600, 0o500), (0o400, 0o500), (0o000, 0o700)] {
        let (dir, path) = folder();
        open(&path, true).await.expect("a database").close().await.expect("closed");
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        };
        set(&path, of_file);
        set(dir.path(), of_dir);
        // Modes mean nothing to root.
        if std::fs::write(dir.path().join("probe"), "").is_err()
            || std::fs::File::options().write(true).open(&path).is_err()
        {
            let error = open(&path, true).await.expect_err(&format!("{of_file:o} {of_dir:o}: it cannot be written"));
            let refused = matches!(error, StoreError::ReadOnly { .. } | StoreError::Unreadable { .. });
            assert!(refused && error.to_string().contains("haul.db"), "{of_file:o} {of_dir:o}: {error:?}");
        }
        set(dir.path(), 0o700);
    }
}

#[test]
fn many_that_open_a_new_file_at_once_all_have_it() {
    for _ in 0..10 {
        let (_dir, path) = folder();
        let begin = std::sync::Barrier::new(6);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                    begin.wait();
                    runtime.block_on(async {
                        let store = open(&path, true).await.expect("a database");
                        is_usable(&store, &path).await;
                    });
                });
            }
        });
    }
}

/// Where a process that a test started is to open a database.
const CHILD: &str = "HAUL_TEST_OPENS";

fn child(dir: &Path, name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "opening::opens_what_it_is_told"]).current_dir(dir).env(CHILD, name);
    command.stdout(std::process::Stdio::null()); // what went wrong it says on stderr
    command
}

#[tokio::test]
async fn opens_what_it_is_told() {
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let store = open(&path, true).await.expect("a database");
    is_usable(&store, &std::env::current_dir().expect("a folder").join(path)).await;
}

#[test]
fn many_processes_that_open_a_new_file_at_once_all_have_it() {
    for _ in 0..3 {
        let (dir, _) = folder();
        let children: Vec<_> = (0..5).map(|_| child(dir.path(), "haul.db").spawn().expect("a process")).collect();
        for mut child in children {
            assert!(child.wait().expect("it ends").success());
        }
    }
}

#[test]
fn a_name_that_sqlite_would_read_as_something_else_is_a_file() {
    for name in [":memory:", "file:x?mode=memory", "a b%20c#d.db"] {
        let (dir, _) = folder();
        assert!(child(dir.path(), name).status().expect("it ends").success(), "{name}");
        let names: Vec<_> =
            files(&dir).into_keys().map(|path| path.strip_prefix(dir.path()).expect("in it").to_owned()).collect();
        assert!(names.contains(&PathBuf::from(name)), "{name}: {names:?}");
    }
}
