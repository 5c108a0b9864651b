//! An import that dies half-way.

use std::fmt::Write;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::bench::{Bench, until};
use crate::checker::max_window;
use crate::server::{Script, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_haul");

/// Rows of the input: many chunks.
const ROWS: usize = 40_000;

/// The number that a query gives; 0 where there is no database yet. A read-only look, as another process would have.
fn number(database: &Path, sql: &str) -> usize {
    let asked = Command::new(BINARY).arg("--db").arg(database).args(["query", "--csv", sql]).output();
    let answer = asked.expect("haul query").stdout;
    String::from_utf8_lossy(&answer).lines().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn jobs(database: &Path) -> usize {
    number(database, "SELECT count(*) FROM jobs")
}

/// Seen failing without the `ON CONFLICT` of import_jobs.sql: the second import ended with an error.
#[test]
fn an_import_killed_half_way_and_run_again_adds_exactly_what_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, database) = (folder.path().join("rows.csv"), folder.path().join("jobs.db"));
    let mut rows = "id\n".to_owned();
    (0..ROWS).for_each(|id| writeln!(rows, "{id}").expect("a string takes it"));
    std::fs::write(&input, rows).expect("the input");
    let import = || {
        let mut command = Command::new(BINARY);
        command.arg("--db").arg(&database).arg("import").arg(&input);
        command
            .args(["--url", "http://127.0.0.1:9/{{ id }}", "--key", "{{ id }}"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let mut child = import().spawn().expect("haul import");
    while jobs(&database) == 0 && child.try_wait().expect("a child").is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("a kill"); // SIGKILL
    child.wait().expect("an end");
    let half = jobs(&database);
    assert!(half > 0 && half < ROWS, "killed half-way: {half}");
    assert_eq!(half % 5_000, 0, "whole chunks only");
    assert!(import().status().expect("haul import").success());
    assert_eq!(jobs(&database), ROWS);
    let orphans = "SELECT count(*) FROM jobs LEFT JOIN requests ON job_id = id WHERE job_id IS NULL";
    assert_eq!(number(&database, orphans), 0);
}

/// Seen failing without `intend`: all 30 at once.
#[test]
fn a_run_killed_while_it_imports_is_gone_on_with_at_its_rate() {
    let server = Server::start(Script::ok());
    let bench = Bench::empty();
    let mut child = Command::new(BINARY)
        .args(["--db".as_ref(), bench.db().as_os_str(), "run".as_ref(), "-".as_ref(), "--rate".as_ref()])
        .args(["20/s", "--format", "lines"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("haul run");
    let mut input = child.stdin.take().expect("its input");
    // A whole chunk and a little more: the rest does not come.
    for id in 0..5_001 {
        writeln!(input, "{}/{id}", server.url()).expect("it reads");
    }
    until("the first chunk is imported", || jobs(&bench.db()) == 5_000);
    child.kill().expect("a kill");
    child.wait().expect("an end");
    assert_eq!(bench.number("SELECT count(*) FROM runs"), 0, "no run has begun");
    bench.run(&["resume", "--limit", "30"]).exits(75);
    assert_eq!(max_window(server.arrivals().iter().map(|arrival| arrival.at_ns), 1_000_000_000), 20);
}
