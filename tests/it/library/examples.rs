//! The examples, run as programs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::resume::bench::{done, until};
use crate::server::{Answer, Asked, Script, Server};

/// The API that the examples ask.
fn api() -> Server {
    Server::start(
        Script::new(|asked: &Asked| Answer::json(format!(r#"{{"id":{},"below":10000}}"#, asked.key)))
            .limit(20, Duration::from_secs(1)),
    )
}

/// Examples are built with the tests, and lie beside their folder.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    let built = test.parent().and_then(Path::parent).expect("a folder").join("examples").join(name);
    assert!(built.exists(), "{} is missing: `cargo test` builds it", built.display());
    built
}

fn start(name: &str, folder: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(example(name));
    command.args(args).current_dir(folder).stdout(Stdio::piped()).spawn().expect("a process")
}

/// What it said, where it ended well.
fn said(child: Child) -> String {
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_original_task_is_killed_and_goes_on() {
    let source = include_str!("../../../examples/original_task.rs");
    assert!(source.lines().count() < 60, "it is to fit a screen");
    let server = api();
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["45", &server.url()];
    let mut first = start("original_task", folder.path(), &args);
    until("it is under way", || server.total() >= 12);
    first.kill().expect("SIGKILL");
    first.wait().expect("its end");
    let text = said(start("original_task", folder.path(), &args));
    assert!(text.contains(" failed, 0 left, "), "{text}");
    // 333,283,335,000 each.
    assert!(text.contains("45 results, 14997750075000 in all"), "{text}");
    let refused = server.arrivals().iter().filter(|arrival| arrival.status == Some(429)).count();
    assert_eq!(refused, 0, "the limit held, across the kill too");
    assert!((45..=45 + 64).contains(&server.total()), "{} requests for 45 jobs", server.total());
    let again = said(start("original_task", folder.path(), &args));
    assert!(again.starts_with("0 succeeded, 0 failed, 0 left"), "{again}");
}

#[test]
fn a_backfill_sends_what_is_still_being_found() {
    let server = api();
    let folder = tempfile::tempdir().expect("a folder");
    let text = said(start("backfill", folder.path(), &[&server.url()]));
    assert!(text.contains("Drained: ") && text.contains(" failed, 0 left"), "{text}");
    assert!(text.contains(r#"{"below":10000,"customer":"customer "#), "{text}");
    assert!(text.ends_with("30 results\n"), "{text}");
    assert_eq!(server.total(), 30, "each once");
    let sql = "SELECT count(DISTINCT import_id) FROM jobs";
    let imports = done(async {
        use sqlx::Connection;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("backfill.db"));
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.expect("a database");
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut connection).await.expect("a number")
    });
    assert_eq!(imports, 3, "they were found in three pieces");
}
