//! `haul retry` and `haul cancel`: what they cost is said, and asked about, before anything is changed.

use super::folder::Folder;
use crate::server::{Answer, Asked, Script, Server};

/// Answers 404 to keys with `gone` in them, 503 to `busy`, text to `text`, else `{"n":1}`.
fn server() -> Server {
    Server::start(Script::new(|asked: &Asked| match asked.key.trim_end_matches(char::is_numeric) {
        "gone" => Answer::status(404),
        "busy" => Answer::status(503),
        "text" => Answer { body: b"no JSON".to_vec(), ..Answer::status(200) },
        _ => Answer::json(r#"{"n":1}"#),
    }))
}

/// A table that was drained: 3 succeeded, 2 x 404, 2 x process_error, 1 x 503.
fn drained(server: &Server) -> Folder {
    let keys = ["gone1", "gone2", "busy1", "text1", "text2", "ok1", "ok2", "ok3"];
    let urls: String = keys.iter().map(|key| format!("{}/{key}\n", server.url())).collect();
    let folder = Folder::with("urls.txt", &urls);
    folder.haul(&["-q", "run", "urls.txt", "--process", "jq:.n", "--max-attempts", "1"]).exits(3);
    folder
}

/// Kept counts, which must be the true ones.
fn counts(folder: &Folder) -> String {
    let kept = "SELECT state, error_type, n FROM counts WHERE n > 0 ORDER BY 1, 2";
    let true_ones =
        "SELECT state, coalesce(error_type, '') AS error_type, count(*) AS n FROM jobs GROUP BY 1, 2 ORDER BY 1, 2";
    let kept = folder.haul(&["query", "--csv", kept]).exits(0).out;
    folder.haul(&["query", "--csv", true_ones]).exits(0).out_is(&kept);
    kept.lines().skip(1).collect::<Vec<_>>().join(" ")
}

const FAILED: &str = "failed,404,2 failed,503,1 failed,process_error,2 succeeded,,3";

// Seen failing with `has_response` taken for false: 5 requests, and the server got them.
#[test]
fn a_retry_says_what_it_costs_and_a_processing_failure_costs_no_request() {
    let server = server();
    let folder = drained(&server);
    folder
        .haul(&["retry", "--yes"])
        .exits(0)
        .err_is("5 jobs: 3 requests, 2 only processed again\n  2 x 404\n  2 x process_error\n  1 x 503\n")
        .out_is("5 jobs: 3 requests, 2 only processed again\nnext: haul resume\n");
    assert_eq!(counts(&folder), "fetched,,2 pending,,3 succeeded,,3");
    let sent = server.total();
    folder.haul(&["-q", "resume"]).exits(3);
    assert_eq!(server.total(), sent + 3);
    assert_eq!(counts(&folder), "failed,404,2 failed,503,1 failed,process_error,2 succeeded,,3");
    folder.haul(&["-q", "retry", "-y", "--error", "process_error"]).exits(0);
    folder.haul(&["-q", "resume", "--process", "none"]).exits(3);
    assert_eq!((server.total(), counts(&folder)), (sent + 3, "failed,404,2 failed,503,1 succeeded,,5".to_owned()));
}

#[test]
fn filters_hold_all_at_once_and_a_dry_run_changes_nothing() {
    let server = server();
    let folder = drained(&server);
    for (flags, first) in [
        (&["--status", "404"][..], "2 jobs: 2 requests"),
        (&["--status", "5xx,404"], "3 jobs: 3 requests"),
        (&["--status", "2xx"], "2 jobs: no request, 2 only processed again"),
        (&["--error", "process_error,503"], "3 jobs: 1 request, 2 only processed again"),
        (&["--error", "503", "--error", "404"], "3 jobs: 3 requests"),
        (&["--error", "404", "--where", "url LIKE '%gone1'"], "1 job: 1 request"),
        (&["--where", "id > 0 OR id < 0 -- all"], "5 jobs: 3 requests, 2 only processed again"),
        (&["--refetch", "--where", "true"], "8 jobs: 8 requests"),
        (&["--refetch", "--where", "state = 'succeeded'"], "3 jobs: 3 requests"),
        (&["--error", "404", "--status", "503"], "no failed job matches: nothing to retry"),
        (&["--error", "timeout"], "no failed job matches: nothing to retry"),
        (&["--refetch", "--where", "false"], "no job matches: nothing to request again"),
        (
            &["--where", "state = 'succeeded'"],
            "no failed job matches: nothing to retry; 3 jobs in other states: --refetch requests those again",
        ),
    ] {
        let call: Vec<_> = ["retry", "--dry-run"].iter().chain(flags).copied().collect();
        let said = folder.haul(&call).exits(0).err_is("");
        assert_eq!(said.out.lines().next(), Some(first), "{flags:?}");
    }
    assert_eq!(counts(&folder), FAILED);
    folder
        .haul(&["retry", "--where", "key <> 'it''s'", "--dry-run", "--error", "503"])
        .exits(0)
        .out_is("1 job: 1 request\n  1 x 503\nnothing was changed (--dry-run)\nnext: haul retry --where 'key <> '\\''it'\\'''\\''s'\\''' --error 503\n");
}

// Seen failing without the question in `confirm` whether there is a terminal.
#[test]
fn without_a_terminal_nothing_is_done_unless_told_to_and_the_command_that_tells_works() {
    let server = server();
    let folder = drained(&server);
    for (call, words) in [
        (&["retry", "--where", "url LIKE '%gone%'"][..], "2 jobs: 2 requests\n  2 x 404\n"),
        (&["cancel", "--where", "state = 'pending'"], "2 jobs to cancel\n"),
    ] {
        let before = counts(&folder);
        let said = folder.haul(call).stdin("y\n").exits(2);
        let error = said.err.strip_prefix(words).expect("what it would cost");
        let command = error.strip_prefix("error: there is no terminal to ask on; to go ahead type `");
        let command = command.and_then(|rest| rest.strip_suffix("`\n")).expect("a command");
        assert_eq!((counts(&folder), said.out.as_str()), (before, ""));
        folder.shell(command).exits(0);
    }
    assert_eq!(counts(&folder), "cancelled,,2 failed,503,1 failed,process_error,2 succeeded,,3");
}

#[test]
fn a_refetch_begins_a_new_generation_and_replaces_the_result() {
    let server = Server::start(Script::new(|asked: &Asked| Answer::json(asked.nth.to_string())));
    let folder = Folder::with("urls.txt", &format!("{0}/a\n{0}/b\n", server.url()));
    folder.haul(&["-q", "run", "urls.txt"]).exits(0);
    folder
        .haul(&["retry", "--refetch", "--where", "id = 1", "--yes"])
        .exits(0)
        .err_is("1 job: 1 request\n  1 x succeeded\n")
        .out_is("1 job: 1 request\nnext: haul resume\n");
    let rows = |sql: &str| folder.haul(&["query", "--csv", sql]).exits(0).out;
    let sql = "SELECT id, state, generation, output FROM jobs JOIN results ON job_id = id";
    assert_eq!(rows(sql), "id,state,generation,output\n1,pending,2,1\n2,succeeded,1,1\n");
    folder.haul(&["-q", "resume"]).exits(0);
    assert_eq!(rows(sql), "id,state,generation,output\n1,succeeded,3,2\n2,succeeded,1,1\n");
    assert_eq!(server.total(), 3);
}

#[test]
fn cancelled_jobs_are_not_sent_and_come_back_when_wanted() {
    let server = server();
    let keys = ["ok1", "old1", "old2"];
    let folder = Folder::with("urls.txt", &keys.map(|key| format!("{}/{key}\n", server.url())).concat());
    folder.haul(&["-q", "run", "urls.txt", "--limit", "1"]).exits(75);
    folder
        .haul(&["cancel", "--where", "id >= 1", "--dry-run"])
        .exits(0)
        .err_is("")
        .out_is("2 jobs to cancel; 1 is finished already\nnothing was changed (--dry-run)\nnext: haul cancel --where 'id >= 1'\n");
    let said = folder
        .haul(&["cancel", "--where", "url LIKE '%old%' OR id = 1", "-y"])
        .exits(0)
        .err_is("2 jobs to cancel; 1 is finished already\n")
        .out_is(
            "2 jobs cancelled; 1 is finished already\n\
             back again: haul retry --refetch --where \"state = 'cancelled'\"\n\
             next: haul resume\n",
        );
    assert_eq!(counts(&folder), "cancelled,,2 succeeded,,1");
    folder.haul(&["-q", "resume"]).exits(0);
    // Seen failing with cancelled ones counted as done: 3 of 3.
    folder.haul(&["status"]).exits(0).out_has("1 of 1 done (100.0 %)");
    assert_eq!(server.total(), 1);
    folder.haul(&["cancel", "--where", "true"]).exits(0).out_is("no job to cancel: 3 are finished already\n");
    folder.haul(&["cancel", "--where", "false"]).exits(0).out_is("no job to cancel\n");
    let back = said.out.lines().find_map(|line| line.strip_prefix("back again: ")).expect("a command");
    folder.shell(&format!("{back} -y")).exits(0);
    folder.haul(&["-q", "resume"]).exits(0);
    assert_eq!((server.total(), counts(&folder)), (3, "succeeded,,3".to_owned()));
}

// Seen failing with a walk that ends after its first chunk (1,000 cancelled), and with the store closed before the console.
#[test]
fn many_jobs_are_moved_in_chunks() {
    let rows: String = (0..2_500).map(|n| format!("http://127.0.0.1:9/{n}\n")).collect();
    let folder = Folder::with("urls.txt", &rows);
    folder.haul(&["-q", "import", "urls.txt"]).exits(0);
    folder.haul(&["cancel", "--where", "id <> 7", "-y"]).exits(0).out_has("2499 jobs cancelled\n");
    let log = std::fs::metadata(folder.path("haul.db-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "the write-ahead log is folded in");
    assert_eq!(counts(&folder), "cancelled,,2499 pending,,1");
    folder.haul(&["retry", "--refetch", "--where", "id > 400", "-y"]).exits(0).out_has("2100 jobs: 2100 requests\n");
    assert_eq!(counts(&folder), "cancelled,,399 pending,,2101");
}

/// Calls, and all that is said about them.
const WRONG: [(&[&str], &str); 15] = [
    (
        &["retry", "--status", "700"],
        "error: invalid value '700' for '--status <STATUS>': write a status code (404) or a class of them (5xx)\n...",
    ),
    (
        &["retry", "--status", "404,timeout"],
        "error: invalid value 'timeout' for '--status <STATUS>': that is a type of failure, not a status: --error timeout\n...",
    ),
    (
        &["retry", "--error", "process_eror"],
        "error: --error: there is no type of failure `process_eror`: did you mean `process_error`?",
    ),
    (
        &["retry", "--error", "timeout,nonsense"],
        "error: --error: there is no type of failure `nonsense`: there are process_error, 404, 503",
    ),
    (&["retry", "--refetch"], "error: the following required arguments were not provided:\n  --where <SQL>\n..."),
    (&["cancel"], "error: the following required arguments were not provided:\n  --where <SQL>\n..."),
    (&["cancel", "--refetch", "--where", "true"], "error: unexpected argument '--refetch' found\n..."),
    (
        &["retry", "--where", "stauts_code = 404"],
        "error: --where cannot be used\n  because: no such column: stauts_code: did you mean `status_code`?",
    ),
    (
        &["cancel", "--where", "DELETE FROM jobs"],
        "error: --where cannot be used\n  because: near \"DELETE\": syntax error",
    ),
    (
        &["cancel", "--where", "true; DELETE FROM jobs"],
        "error: --where cannot be used\n  because: near \";\": syntax error",
    ),
    (
        &["retry", "--where", "true) OR (true"],
        "error: --where cannot be used\n  because: the condition closes a parenthesis that it does not open",
    ),
    (
        &["retry", "--where", "true -- (\n) OR (true"],
        "error: --where cannot be used\n  because: the condition closes a parenthesis that it does not open",
    ),
    (
        &["retry", "--where", " "],
        "error: --where cannot be used\n  because: the condition is empty; `true` takes every job",
    ),
    (
        &["retry", "--where", "id = :id"],
        "error: --where cannot be used\n  because: the parameter :id has no value: give it one with -p id VALUE",
    ),
    (
        &["prune"],
        "error: say what is to be dropped: `haul prune --responses` drops the stored responses of finished jobs",
    ),
];

#[test]
fn what_cannot_be_meant_is_refused_and_changes_nothing() {
    let server = server();
    let folder = drained(&server);
    for (call, words) in WRONG {
        folder.haul(call).exits(2).out_is("").err_is(words);
    }
    assert_eq!(counts(&folder), FAILED);
}

#[test]
fn a_search_without_end_is_ended() {
    let folder = Folder::with("urls.txt", "http://127.0.0.1:9/a\n");
    folder.haul(&["-q", "import", "urls.txt"]).exits(0);
    let endless = "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c) > 0";
    for call in [&["retry", "--refetch"][..], &["cancel"]] {
        let call: Vec<_> = call.iter().chain(&["--where", endless, "--timeout", "200ms"]).copied().collect();
        folder.haul(&call).exits(1).err_has("it was stopped after 200ms of work");
    }
    assert_eq!(counts(&folder), "pending,,1");
}

#[test]
fn a_database_that_is_missing_foreign_or_newer_is_left_alone() {
    let folder = Folder::new();
    let calls = [&["retry"][..], &["cancel", "--where", "true"], &["prune", "--responses"], &["stop"]];
    for call in calls {
        folder.haul(call).exits(4).err_is(
            "error: there is no database at haul.db\n  begin with `haul run INPUT`, or name another one with --db\n",
        );
    }
    assert!(folder.names().is_empty(), "{:?}", folder.names());
    folder.write("haul.db", &"hello, world\n".repeat(999));
    for call in calls {
        folder.haul(call).exits(1).err_is("error: haul.db is not a haul database: it is no SQLite database\n  it was not touched; name another one with --db\n");
    }
    assert_eq!(folder.names(), ["haul.db"]);
    std::fs::remove_file(folder.path("haul.db")).expect("gone");
    folder.write("urls.txt", "http://127.0.0.1:9/a\n");
    folder.haul(&["-q", "import", "urls.txt"]).exits(0);
    super::newer(&folder.path("haul.db"));
    for call in calls {
        folder.haul(call).exits(1).err_has("haul.db has schema version 999, this haul knows up to");
    }
}
