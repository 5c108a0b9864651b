//! Changes of all or nothing that die half-way.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Row};
use tempfile::TempDir;

use super::bench::{done, until};

const ROWS: usize = 20_000;

/// A folder with a database and an input.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn import(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
        command.current_dir(self.0.path()).arg("import").args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// One number of the database; a look as another process would have it.
    fn number(&self, sql: &str) -> i64 {
        done(async {
            let mut reader = connect(&self.path("haul.db")).await;
            let number = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut reader).await.expect("a number").get(0);
            reader.close().await.expect("closed");
            number
        })
    }
}

async fn connect(database: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(database)).await.expect("a database")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A strict import that has read most of these rows, and waits for more. A pipe holds less than what was written, so all but
/// some chunks were handed over.
fn strict_import_half_way(place: &Place) -> Child {
    let mut rows = "id\n".to_owned();
    (0..ROWS * 2).for_each(|id| writeln!(rows, "{id}{}", "0".repeat(90)).expect("a string takes it"));
    let mut import = place.import(&["-", "--strict", "--url", "http://127.0.0.1:9/{{ id }}"]);
    let mut child = import.stdin(Stdio::piped()).spawn().expect("haul import");
    child.stdin.as_mut().expect("its input").write_all(rows.as_bytes()).expect("it reads");
    child
}

fn nothing_is_there(place: &Place) {
    for table in ["jobs", "requests", "imports", "rejected", "counts"] {
        assert_eq!(place.number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

/// Seen failing with a commit after each chunk.
#[test]
fn a_strict_import_killed_half_way_leaves_nothing() {
    let place = Place::new();
    let mut child = strict_import_half_way(&place);
    child.kill().expect("a kill"); // SIGKILL
    child.wait().expect("an end");
    nothing_is_there(&place);
    // The same to its end.
    let child = strict_import_half_way(&place);
    let ended = child.wait_with_output().expect("an end");
    assert!(ended.status.success(), "{}", text(&ended));
    assert_eq!(place.number("SELECT count(*) FROM jobs JOIN requests ON job_id = id"), 2 * ROWS as i64);
}

#[test]
fn a_strict_import_that_is_interrupted_leaves_nothing() {
    let place = Place::new();
    let mut child = strict_import_half_way(&place);
    let _open = child.stdin.take();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill").success());
    let ended = child.wait_with_output().expect("an end");
    assert_eq!((ended.status.code(), text(&ended).contains("interrupted: nothing is imported")), (Some(130), true));
    nothing_is_there(&place);
}

/// Requests of rows that fill more than SQLite holds in memory, every tenth answered.
fn many_jobs(place: &Place) {
    let mut rows = "id,much\n".to_owned();
    let much = "x".repeat(1_500);
    (0..ROWS).for_each(|id| writeln!(rows, "{id},{much}").expect("a string takes it"));
    std::fs::write(place.path("rows.csv"), rows).expect("the input");
    let ended = place.import(&["rows.csv", "--url", "http://127.0.0.1:9/{{ id }}"]).output().expect("haul import");
    assert!(ended.status.success(), "{}", text(&ended));
    done(async {
        let mut writer = connect(&place.path("haul.db")).await;
        let answered = "UPDATE jobs SET state = 'succeeded', attempts = 1, finished_at_us = 1 WHERE id % 10 = 0;
                        UPDATE counts SET n = n * 9 / 10; INSERT INTO counts VALUES ('succeeded', '', 2000)";
        sqlx::raw_sql(answered).execute(&mut writer).await.expect("answers");
        writer.close().await.expect("closed");
    });
}

/// Seen failing with a commit after each reading.
#[test]
fn jobs_whose_making_anew_is_killed_half_way_are_made_anew_by_the_same_command() {
    let place = Place::new();
    many_jobs(&place);
    let rerender = ["rows.csv", "--url", "http://127.0.0.1:9/v2/{{ id }}", "--on-change", "rerender"];
    let mut child = place.import(&rerender).spawn().expect("haul import");
    // What memory does not hold is in the log before the end of the transaction.
    let log = place.path("haul.db-wal");
    until("it has changed much", || std::fs::metadata(&log).is_ok_and(|log| log.len() > 1 << 20));
    child.kill().expect("a kill"); // SIGKILL
    child.wait().expect("an end");
    let renewed = "SELECT count(*) FROM requests WHERE url LIKE '%/v2/%'";
    let new_template = "SELECT count(*) FROM imports WHERE template LIKE '%/v2/%'";
    assert_eq!((place.number(renewed), place.number(new_template)), (0, 0), "nothing of it is left");

    let ended = place.import(&rerender).output().expect("haul import");
    assert!(ended.status.success(), "{}", text(&ended));
    let said = text(&ended);
    assert!(said.starts_with("rerendered 18000 jobs not sent yet; 2000 answered ones stay\n"), "{said}");
    assert!(said.ends_with("rows.csv: 20000 rows, 0 new jobs, 20000 known already\n"), "{said}");
    assert_eq!(place.number(renewed), 18_000);
    assert_eq!(place.number("SELECT count(*) FROM jobs WHERE length(key) <> 64"), 0, "keys are hashes again");
}
