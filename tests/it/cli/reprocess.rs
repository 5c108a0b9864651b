//! `haul reprocess`: your code again over stored responses, without a request.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use super::folder::Folder;
use crate::server::{Answer, Asked, Script, Server};

/// Answers 404 to keys with `gone` in them, text to `text`, nothing in time to `slow`, else `{"n":1,"m":2}`.
fn server() -> Server {
    Server::start(Script::new(|asked: &Asked| match asked.key.trim_end_matches(char::is_numeric) {
        "gone" => Answer { body: br#"{"n":4,"m":5}"#.to_vec(), ..Answer::status(404) },
        "text" => Answer { body: b"no JSON".to_vec(), ..Answer::status(200) },
        _ => Answer::json(r#"{"n":1,"m":2}"#),
    }))
}

/// A table that was drained by `jq:.n`: 3 succeeded, 2 x process_error, 1 x 404. The server is gone, and somebody listens in
/// its place.
fn drained() -> (Folder, TcpListener) {
    let server = server();
    let keys = ["ok1", "ok2", "ok3", "text1", "text2", "gone1"];
    let urls: String = keys.iter().map(|key| format!("{}/{key}\n", server.url())).collect();
    let folder = Folder::with("urls.txt", &urls);
    folder.haul(&["-q", "run", "urls.txt", "--process", "jq:.n", "--max-attempts", "1"]).exits(3);
    let address = server.url().trim_start_matches("http://").to_owned();
    drop(server);
    // A connection of another test may have been given the port for a moment.
    let mut tries =
        (0..200).map(|_| TcpListener::bind(&address).inspect_err(|_| thread::sleep(Duration::from_millis(50))));
    let listener = tries.find_map(Result::ok).expect("its port");
    listener.set_nonblocking(true).expect("a listener");
    (folder, listener)
}

#[track_caller]
fn nobody_came(listener: &TcpListener) {
    assert_eq!(listener.accept().map(|_| ()).map_err(|e| e.kind()), Err(ErrorKind::WouldBlock), "a connection");
}

/// State, result and type of failure of each job, by the last part of its URL.
fn jobs(folder: &Folder) -> String {
    let sql = "SELECT replace(substr(url, 18), rtrim(substr(url, 18), replace(url, '/', '')), '') AS k, state, result, error_type \
               FROM job_view ORDER BY id";
    let rows = folder.haul(&["query", "--csv", sql]).exits(0).out;
    rows.lines().skip(1).collect::<Vec<_>>().join(" ")
}

const BEFORE: &str = "ok1,succeeded,1, ok2,succeeded,1, ok3,succeeded,1, text1,failed,,process_error text2,failed,,process_error gone1,failed,,404";

// Seen failing with a pipeline that claims jobs that ask for a request as well.
#[test]
fn stored_responses_are_processed_again_and_nothing_is_sent() {
    let (folder, listener) = drained();
    assert_eq!(jobs(&folder), BEFORE);
    // A job that was never sent stays so.
    folder.write("more.txt", "http://127.0.0.1:9/new\n");
    folder.haul(&["-q", "import", "more.txt"]).exits(0);
    folder
        .haul(&["reprocess", "--process", "jq:if type == \"object\" then .m else length end", "--progress", "none"])
        .exits(3)
        .err_is("6 jobs to process again: 3 succeeded, 3 failed; no request\n")
        .out_is(
            "haul.db: drained after [..] s\n  this run  5 succeeded, 1 failed\n  table     5 succeeded, 1 failed, 1 left\n  \
             requests  0, 0 refused (429), 0 retried\n  queue     p50 [..]\n  process   p50 [..]\n  commit    p50 [..]\n  failed    1 x 404  [..]\nnext: haul query 'SELECT \
             error_type, count(*) AS jobs, max(error_message) AS example FROM attempts WHERE run_id = 2 AND error_type IS NOT NULL \
             GROUP BY 1'\n",
        );
    let after = "ok1,succeeded,2, ok2,succeeded,2, ok3,succeeded,2, text1,succeeded,7, text2,succeeded,7, gone1,failed,,404 new,pending,,";
    assert_eq!(jobs(&folder), after);
    let timings = "SELECT count(*) FROM job_view WHERE latency_ms > 0 AND ttfb_ms > 0 AND fetch_ms > 0 AND process_ms >= 0 AND \
                   started_at < (SELECT max(finished_at) FROM job_view) AND bytes > 0";
    folder.haul(&["query", "--nl", timings]).exits(0).out_has(":5}");
    // Should it die before its run begins, the next one knows the processor.
    let intended = "SELECT value ->> 'settings' ->> 'process' FROM meta WHERE name = 'intended'";
    folder.haul(&["query", "--csv", intended]).exits(0).out_has("else length end");
    // The processor is remembered, and the statuses are judged anew.
    folder.haul(&["-q", "reprocess", "--where", "error_type = '404'", "--success", "2xx,404"]).exits(0);
    assert_eq!(jobs(&folder), after.replace("gone1,failed,,404", "gone1,succeeded,5,"));
    nobody_came(&listener);
    super::counts_are_true(&folder);
}

// Seen failing with `kept` left out of `job::next`.
#[test]
fn where_it_fails_the_old_result_stays_and_the_job_is_what_it_was() {
    let (folder, listener) = drained();
    folder
        .haul(&["reprocess", "--progress", "none", "--process", "jq:if type == \"object\" then error(\"worse\") else error(\"still\") end"])
        .exits(3)
        .err_is("6 jobs to process again: 3 succeeded, 3 failed; no request\n")
        .out_is("haul.db: drained after [..] s\n  this run  0 succeeded, 6 failed\n  kept      3 old results, where processing failed this time\n...\n");
    assert_eq!(jobs(&folder), BEFORE);
    super::counts_are_true(&folder);
    let faults = "SELECT error_type, error_message FROM attempts WHERE run_id = 2 ORDER BY job_id";
    let faults = folder.haul(&["query", "--csv", faults]).exits(0).out;
    assert_eq!(faults.matches("worse").count(), 3, "an attempt says how it failed: {faults}");
    assert_eq!(faults.matches("still").count(), 2, "{faults}");
    let processors = folder.haul(&["query", "--csv", "SELECT DISTINCT processor FROM results"]).exits(0).out;
    assert_eq!(processors.lines().count(), 2, "the results tell who made them: {processors}");
    // By the rule of the body too.
    folder.haul(&["-q", "reprocess", "--process", "jq:.n", "--fail-if", "jq:.m == 2"]).exits(3);
    assert_eq!(jobs(&folder), BEFORE);
    folder.haul(&["-q", "reprocess", "--fail-if", "none", "--where", "state = 'succeeded'"]).exits(0);
    assert_eq!(jobs(&folder), BEFORE);
    nobody_came(&listener);
}

// Seen failing with a secret that cannot be had taken for none: the echo of the credential stood in the message.
#[test]
fn an_echoed_secret_that_is_not_at_hand_any_more_stands_in_no_message() {
    let server = Server::start(Script::new(|asked: &Asked| {
        let echo = asked.header("x-api-key").unwrap_or_default();
        let status = if asked.key.starts_with("gone") { 404 } else { 200 };
        Answer { body: format!("\"you sent {echo}\"").into(), ..Answer::status(status) }
    }));
    let folder = Folder::with("urls.txt", &format!("{0}/gone1\n{0}/ok1\n", server.url()));
    folder.haul(&["-q", "run", "urls.txt", "-H", "X-Api-Key: canary-4711", "--process", "jq:1"]).exits(3);
    folder.haul(&["-q", "reprocess", "--process", "jq:error(.)"]).exits(3);
    let said =
        folder.haul(&["query", "--csv", "SELECT error_message FROM attempts ORDER BY job_id, attempt"]).exits(0).out;
    assert!(!said.contains("canary") && said.contains("what it said is left out"), "{said}");
    let dry = folder.haul(&["reprocess", "--dry-run", "--process", "jq:error(.)"]).exits(0).out;
    assert!(!dry.contains("canary"), "{dry}");
}

// Seen failing with the value of `--dry-run` left in the next command.
#[test]
fn a_dry_run_shows_before_and_after_and_writes_nothing() {
    let (folder, _listener) = drained();
    let before = std::fs::read(folder.path("haul.db")).expect("the database");
    folder
        .haul(&["reprocess", "--dry-run", "3", "--process", "jq:if .m == 2 then .n, .m else length end", "--where", "id <> 2"])
        .exits(0)
        .err_is("")
        .out_is(
            "job 1  [..]  succeeded\n  before  1\n  after   [1,2]\njob 3  [..]  succeeded\n  before  1\n  after   [1,2]\n\
             job 4  [..]  failed: process_error: [..]\n  before  no result\n  after   no result, as it fails: process_error: [..]\n\
             3 jobs looked at: 2 would change, 0 stay the same, 1 fail\n5 jobs to process again: 2 succeeded, 3 failed; no request\n\
             nothing was changed (--dry-run)\nnext: haul reprocess --process 'jq:if .m == 2 then .n, .m else length end' --where 'id \
             <> 2'\n",
        );
    folder
        .haul(&["reprocess", "--where", "id = 1 OR error_type = '404'", "--dry-run"])
        .exits(0)
        .out_is(
            "job 1  [..]  succeeded\n  before  1\n  after   the same\njob 6  [..]  failed: 404: 404 Not Found: [..]\n  before  no \
             result\n  after   no result, as it fails: 404: 404 Not Found: [..]\n...\nnext: haul reprocess --where 'id = 1 OR \
             error_type = '\\''404'\\'''\n",
        );
    assert_eq!(std::fs::read(folder.path("haul.db")).expect("the database"), before);
    assert_eq!(jobs(&folder), BEFORE);
}

#[test]
fn what_has_no_stored_response_is_said_and_left_alone() {
    let (folder, listener) = drained();
    folder.haul(&["-q", "prune", "--responses", "--where", "id IN (1, 4)"]).exits(0);
    let left = "left alone: 2 jobs without a stored response (pruned, or not kept); `haul retry --refetch` requests them again\n";
    folder
        .haul(&["reprocess", "--process", "jq:.m", "--where", "id IN (1, 2, 4)", "--progress", "none"])
        .exits(0)
        .err_is(&format!("1 job to process again: 1 succeeded, 0 failed; no request\n{left}"));
    assert_eq!(jobs(&folder), BEFORE.replace("ok2,succeeded,1", "ok2,succeeded,2"));
    folder
        .haul(&["reprocess", "--where", "id IN (1, 4)"])
        .exits(0)
        .out_is(&format!("no job with a stored response matches: nothing to process again\n{left}"));
    folder.haul(&["reprocess", "--rest", "--json"]).exits(0).out_has("\"succeeded\":0");
    nobody_came(&listener);
}

#[test]
fn a_failure_without_an_answer_has_nothing_to_process() {
    let folder = Folder::with("urls.txt", "http://127.0.0.1:9/a\n");
    folder.haul(&["-q", "run", "urls.txt", "--max-attempts", "1"]).exits(3);
    folder.haul(&["reprocess"]).exits(0).out_is(
        "no job with a stored response matches: nothing to process again\nleft alone: 1 failed job without an answer of the server; \
         `haul retry` requests them again\n",
    );
}
