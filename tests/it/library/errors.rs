//! What a program is told where something cannot be done, and the exit code for it.

use std::sync::Arc;
use std::time::Duration;

use haul::{Cursor, Error, Haul, Job, OnConflict, Response, Runner};

use super::{jobs, new, rows, until};
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};

#[tokio::test]
async fn a_wrong_setting_is_told_by_the_run_before_it_begins() {
    let (folder, haul) = new().await;
    let wrong: [(Runner, &str); 7] = [
        (haul.runner().rate("20").rate("0/s"), "`20` is no rate: it names no window; write 20/s"),
        (haul.runner().concurrency(0), "a concurrency is between 1 and 10,000"),
        (haul.runner().success("ok"), "`ok` is neither a status code"),
        (haul.runner().process_by("jq:.["), "jq"),
        (haul.runner().timeout(Duration::ZERO), "a timeout of 0"),
        (haul.runner().max_attempts(0), "0 attempts"),
        (haul.runner().backoff(Duration::from_secs(2), Duration::from_secs(1)), "the first wait"),
    ];
    for (runner, said) in wrong {
        let error = runner.run().await.expect_err(said);
        assert!(matches!(error, Error::Configuration(_)) && error.exit_code() == 2, "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
    }
    assert_eq!(rows::<(i64,)>(folder.path(), "SELECT count(*) FROM runs").await, [(0,)]);
}

#[tokio::test]
async fn a_second_run_is_told_who_holds_the_database() {
    let gate = Gate::closed();
    let held = gate.clone();
    let server = Arc::new(Server::start(Script::new(move |_: &Asked| {
        Reply::Held(held.clone(), Box::new(Answer::json("1").into()))
    })));
    let (_folder, haul) = new().await;
    haul.import(jobs(&server, &["a"]), OnConflict::Skip).await.expect("an import");
    let running = tokio::spawn(haul.runner().run());
    let seen = server.clone();
    until("it is sent", move || seen.total() == 1).await;
    let error = haul.runner().run().await.expect_err("it is held");
    assert_eq!(error.exit_code(), 6);
    let Error::Busy { holder, .. } = error else { panic!("{error:?}") };
    assert!(holder.starts_with(&format!("pid {} on ", std::process::id())), "{holder}");
    gate.open();
    running.await.expect("no panic").expect("an end");
}

#[tokio::test]
async fn files_of_others_and_of_a_newer_haul_are_refused_untouched() {
    let (folder, haul) = new().await;
    drop(haul);
    let text = folder.path().join("a.txt");
    std::fs::write(&text, "not a database, but long enough to be looked at as if it were one").expect("a file");
    let error = Haul::open(&text).await.expect_err("it is a text");
    assert!(matches!(error, Error::Store(haul::StoreError::Foreign { .. })) && error.exit_code() == 1, "{error:?}");
    rows::<(i64,)>(folder.path(), "PRAGMA user_version = 9999").await;
    let error = Haul::open(folder.path().join("jobs.db")).await.expect_err("it is newer");
    assert!(matches!(error, Error::NewerSchema { found: 9999, .. }), "{error:?}");
}

// Seen failing with the processor forgotten: the responses were taken for results.
#[tokio::test]
async fn nobody_goes_on_without_the_processor_of_a_program() {
    let server = Server::start(Script::ok());
    let (folder, haul) = new().await;
    haul.import(jobs(&server, &["a", "b"]), OnConflict::Skip).await.expect("an import");
    haul.runner().limit(1).process(|_: &Response, _: &Job| Ok(1)).run().await.expect("an end");
    let error = haul.runner().run().await.expect_err("it has none");
    let said =
        "the last run had a processor of its own (program:custom); give it with `process`, or say `process_nothing`";
    assert_eq!((error.to_string().as_str(), error.exit_code()), (said, 2));
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_haul"))
        .args(["--db", "jobs.db", "resume"])
        .current_dir(folder.path())
        .output()
        .expect("the program");
    assert_eq!(program.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&program.stderr),
        "error: --process: the last run had the processor of a program (`custom`): run that program again, or name another \
         one\n"
    );
    assert_eq!(server.total(), 1);
}

#[tokio::test]
async fn a_result_of_another_shape_is_told_with_its_job() {
    let server = Server::start(Script::ok());
    let (_folder, haul) = new().await;
    haul.import(jobs(&server, &["a"]), OnConflict::Skip).await.expect("an import");
    haul.runner().run().await.expect("an end");
    let error = haul.results::<u64>(Cursor::default()).await.expect_err("it is an object");
    let said = "the result of job 1 (key `a`) is not of this shape; read it as `serde_json::Value` to see it";
    assert_eq!((error.to_string().as_str(), error.exit_code()), (said, 1));
    let page = haul.results::<serde_json::Value>(Cursor::default()).await.expect("a page");
    assert_eq!(page.results[0].output, serde_json::json!({"key": "a"}));
}
