//! From an input to results, and how that ends.

use super::folder::Folder;
use crate::server::{Answer, Asked, Script, Server};

/// Answers `{"doubled": 2 * key}`, and 404 to keys below 0.
fn doubling() -> Server {
    Server::start(Script::new(|asked: &Asked| match asked.key.parse::<i64>() {
        Ok(n) if n >= 0 => Answer::json(format!(r#"{{"doubled":{}}}"#, 2 * n)),
        _ => Answer::status(404),
    }))
}

fn url(server: &Server) -> String {
    format!("{}/{{{{ id }}}}", server.url())
}

#[test]
fn a_csv_becomes_results_that_can_be_asked_for() {
    let server = doubling();
    let folder = Folder::with("n.csv", "id\n1\n2\n3\n");
    folder
        .haul(&["run", "n.csv", "--url", &url(&server), "--key", "{{ id }}", "--process", "jq:.doubled", "-r", "100/s"])
        .exits(0)
        .err_is("n.csv: 3 rows, 3 new jobs\n")
        .out_is(
            "haul.db: drained after [..] s\n\
             \x20 this run  3 succeeded, 0 failed\n\
             \x20 table     3 succeeded, 0 failed, 0 left\n\
             \x20 requests  3 (limit 100/s), 0 refused (429), 0 retried\n\
             \x20 rate wait p50 [..] ms  p99 [..] ms  max [..] ms\n\
             \x20 1st byte  p50 [..] ms  p99 [..] ms  max [..] ms\n\
             \x20 body      p50 [..] ms  p99 [..] ms  max [..] ms\n\
             \x20 queue     p50 [..] ms  p99 [..] ms  max [..] ms\n\
             \x20 process   p50 [..] ms  p99 [..] ms  max [..] ms\n\
             \x20 commit    p50 [..] ms  p99 [..] ms  max [..] ms\n\
             \x20 latency   p50 [..] ms  p99 [..] ms  max [..] ms\n\
             next: haul query 'SELECT key, result FROM job_view LIMIT 5'\n",
        );
    folder
        .haul(&["query", "--csv", "SELECT key, state, result FROM job_view ORDER BY key"])
        .exits(0)
        .out_is("key,state,result\n1,succeeded,2\n2,succeeded,4\n3,succeeded,6\n");
    folder.haul(&["run"]).exits(0);
    assert_eq!(server.total(), 3, "there is nothing left to send");
}

#[test]
fn some_that_failed_for_good_are_exit_3_and_the_next_command_shows_them() {
    let server = doubling();
    let folder = Folder::with("n.csv", "id\n1\n-2\n-3\n");
    let said = folder
        .haul(&["run", "n.csv", "--url", &url(&server)])
        .exits(3)
        .out_has("  this run  1 succeeded, 2 failed\n")
        .out_has("  failed    2 x 404  ");
    let next = said.out.lines().last().expect("a line").strip_prefix("next: ").expect("a command");
    let failures = folder.shell(next).exits(0).rows();
    assert_eq!((&failures[0]["error_type"], &failures[0]["failed"]), (&"404".into(), &2.into()));
}

#[test]
fn done_with_some_rows_rejected_is_exit_65() {
    let server = doubling();
    let folder = Folder::with("n.csv", "id\n1\n\"\"\n");
    folder.haul(&["run", "n.csv", "--url", &url(&server)]).exits(65).err_has("1 rejected");
    assert_eq!(server.total(), 1);
}

#[test]
fn a_limit_of_jobs_is_exit_75_and_the_next_command_goes_on() {
    let server = doubling();
    let folder = Folder::with("n.csv", "id\n1\n2\n3\n4\n5\n");
    let said = folder.haul(&["--db", "my jobs.db", "run", "n.csv", "--url", &url(&server), "--limit", "2"]).exits(75);
    let next = said.out.lines().last().expect("a line").strip_prefix("next: ").expect("a command");
    assert_eq!(next, "haul --db 'my jobs.db' resume");
    folder.shell(next).exits(0);
    assert_eq!(server.total(), 5);
}

#[test]
fn the_summary_as_json_is_one_object_and_nothing_else() {
    let server = doubling();
    let folder = Folder::with("n.csv", "id\n1\n-2\n");
    let said = folder.haul(&["-q", "run", "n.csv", "--url", &url(&server), "--json"]).exits(3);
    let summary = said.rows();
    assert_eq!((&summary["schema"], &summary["succeeded"], &summary["failed"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!((said.out.lines().count(), said.err.as_str()), (1, ""));
}

#[test]
fn every_next_command_of_status_exists() {
    let server = doubling();
    let folder = Folder::with("n.csv", "id\n1\n2\n");
    let next = || {
        let said = folder.haul(&["status"]).exits(0);
        said.out.lines().last().and_then(|line| line.strip_prefix("next: ")).expect("a command").to_owned()
    };
    folder.haul(&["import", "n.csv", "--url", &url(&server)]).exits(0);
    // Nothing has run yet, so there is nothing to go on like: the defaults do.
    assert_eq!(next(), "haul resume");
    folder.shell(&next()).exits(0);
    assert_eq!(next(), "haul query 'SELECT key, result FROM job_view LIMIT 5'");
    folder.shell(&next()).exits(0).out_has(r#""{\"doubled\":4}""#);
    folder.write("n.csv", "id\n-1\n");
    folder.haul(&["run", "n.csv", "--url", &url(&server)]).exits(3);
    assert_eq!(next(), "haul query 'SELECT * FROM failures'");
    folder.shell(&next()).exits(0).out_has("\"error_type\":\"404\"");
}

#[test]
fn a_demo_goes_on_as_a_demo_because_only_it_serves_the_api() {
    let folder = Folder::new();
    let said = folder.haul(&["demo", "--jobs", "30", "--rate", "100/s", "--limit", "10"]).exits(75);
    assert!(!said.out.contains("next:"), "{}", said.out);
    assert!(said.out.ends_with("it goes on with: haul demo\n"), "{}", said.out);
    folder.haul(&["--db", "haul-demo.db", "status"]).exits(0).out_has("\nnext: haul demo\n");
    let said = folder.haul(&["demo", "--jobs", "30", "--rate", "100/s"]).exits(0).out_has("try next:\n");
    let commands: Vec<_> = said.out.lines().filter_map(|line| line.strip_prefix("  haul ")).collect();
    assert_eq!(commands.len(), 3, "{}", said.out);
    for command in commands {
        folder.shell(&format!("haul {command}")).exits(0);
    }
}
