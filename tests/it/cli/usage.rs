//! What cannot be meant is refused with what could be, before anything is made or sent.

use super::folder::Folder;
use crate::server::{Script, Server};

/// Flags, and what the message says to write.
const WRONG: [(&[&str], &str); 17] = [
    (&["--rate", "20"], "write 20/s, 600/m, 1000/h, 10000/d or 100/10s"),
    (&["--rate", "0/s"], "write 20/s, 600/m"),
    (&["--rate", "20/s", "--rate", "x"], "write 20/s, 600/m"),
    (&["--concurrency", "0"], "0 is not in 1..=10000"),
    (&["--threads", "0"], "0 is not in 1..=1024"),
    (&["--limit", "0"], "0 is not in 1.."),
    (&["--max-attempts", "0"], "0 is not in 1..=1000"),
    (&["--timeout", "0"], "a timeout of 0 would fail every request; leave it out for the default"),
    (&["--backoff", "x"], "write the first and the longest wait: 250ms..60s"),
    (&["--backoff", "2s..1s"], "the first wait is longer than the longest"),
    (&["--success", "9xx"], "`9xx` is neither a status code (404), a class of them (5xx)"),
    (&["--process", "foo"], "write `jq:EXPR`, `jq:@FILE` or `cmd:PROG ARGS`"),
    (&["--process", "jq:.["], "expected closing bracket for this `[`\n    .[\n     ^"),
    (&["--max-body", "1TB"], "write bytes, or 512KiB, 10MiB, 1GiB"),
    (&["-H", "nocolon"], "a header is written 'Name: value'"),
    (&["--durability", "low"], "write power-loss (a commit survives a power cut) or crash"),
    (&["-d", "a", "--json-body", "1"], "cannot be used with"),
];

#[test]
fn a_bad_flag_is_refused_with_what_to_write() {
    let folder = Folder::with("urls.txt", "http://127.0.0.1:9/a\n");
    for (flags, words) in WRONG {
        let call: Vec<_> = ["run", "urls.txt"].iter().chain(flags).copied().collect();
        let said = folder.haul(&call).exits(2).err_has(words);
        assert!(said.out.is_empty() && said.err.starts_with("error: "), "{said:?}");
    }
    assert_eq!(folder.names(), ["urls.txt"], "and nothing was made");
}

#[test]
fn a_bad_template_is_refused_with_its_flag() {
    let folder = Folder::with("rows.csv", "id\n1\n");
    for (flags, words) in [
        (["--url", "http://h/{{ id"], "--url \"http://h/{{ id\" cannot be used: syntax error"),
        (["--key", "{{ id | nofilter }}"], "--key"),
        (["--json-body", "{{ id"], "--json-body"),
        (["-H", "X: {% if %}"], "-H \"{% if %}\" cannot be used: syntax error"),
    ] {
        folder.haul(&["import", "rows.csv", flags[0], flags[1]]).exits(2).err_has(words);
    }
    assert_eq!(folder.names(), ["rows.csv"]);
}

#[test]
fn a_body_file_that_is_not_there_is_refused() {
    let folder = Folder::with("rows.csv", "id\n1\n");
    folder
        .haul(&["import", "rows.csv", "--url", "http://h/", "-d", "@none"])
        .exits(2)
        .err_has("from none: No such file");
}

#[test]
fn without_a_database_there_is_nothing_to_do_and_none_is_made() {
    let folder = Folder::new();
    for call in [&["resume"][..], &["run"], &["status"], &["status", "--json"], &["query", "SELECT 1"]] {
        let said = folder.haul(call).exits(4).err_has("no database at haul.db").err_has("`haul run INPUT`");
        assert_eq!(said.out, "");
    }
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[test]
fn a_database_without_a_job_is_nothing_to_resume() {
    let folder = Folder::with("empty.txt", "");
    folder.haul(&["import", "empty.txt"]).exits(0);
    for verb in ["run", "resume"] {
        folder.haul(&[verb]).exits(4).err_has("no job in haul.db");
    }
    folder
        .haul(&["status"])
        .exits(0)
        .out_is("jobs      0 of 0 done (0.0 %)\nrun       none yet\n\nnext: haul run INPUT[..]\n");
}

#[test]
fn a_missing_secret_is_told_before_the_first_request() {
    let server = Server::start(Script::ok());
    let folder = Folder::with("urls.txt", &format!("{}/a\n", server.url()));
    let words = "a secret of the request is missing: the variable HAUL_TEST_MISSING is not set";
    folder.haul(&["run", "urls.txt", "-H", "X: {{ env('HAUL_TEST_MISSING') }}"]).exits(2).err_has(words);
    let words = "failed to read none.key: No such file";
    folder.haul(&["run", "urls.txt", "-H", "X: {{ file('none.key') }}"]).exits(2).err_has(words);
    assert_eq!((server.total(), folder.names()), (0, vec!["urls.txt".to_owned()]));
}

#[test]
fn credentials_that_cannot_be_meant_are_refused_and_shown_nowhere() {
    let folder = Folder::with("urls.txt", "http://127.0.0.1:9/a\n");
    let cases: [(&[&str], &str); 8] = [
        (&["-H", "Authorization: hunter2\u{7f}"], "-H 'Authorization: ..' holds a character that no header may hold"),
        (
            &["-H", "X-Key: hunter2", "-H", "x-key: hunter3"],
            "-H 'x-key: ..' is given twice; a credential has one value",
        ),
        (&["-u", "bob:hunter2", "-H", "Authorization: x"], "-u and -H 'Authorization: ..' are two of the same header"),
        (&["-u", "hunter2"], "-u has no colon; write USER:PASS, or \"USER:{{ env('NAME') }}\""),
        (&["-u", "bob:hunter2{{ env('X') }}"], "-u holds a part of a password, which would be stored"),
        (&["--url", "http://h/?token=hunter2"], "--url '..token=..' holds a secret"),
        (&["--proxy", "http://bob:hunter2@127.0.0.1:9"], "http://{{ env('PROXY_USER') }}:{{ env('PROXY_PASSWORD') }}@"),
        (&["--proxy", "socks5://hunter2:9"], "--proxy names a SOCKS proxy, which haul cannot use"),
    ];
    for (flags, words) in cases {
        let call: Vec<_> = ["run", "urls.txt"].iter().chain(flags).copied().collect();
        let said = folder.haul(&call).exits(2).err_has(words);
        assert!(!format!("{said:?}").contains("hunter"), "{said:?}");
    }
    assert_eq!(folder.names(), ["urls.txt"]);
}

// Seen failing without the question whose jobs they are: the demo sent them.
#[test]
fn the_demo_touches_no_jobs_that_somebody_imported() {
    let folder = Folder::with("urls.txt", "http://127.0.0.1:9/a\n");
    folder.haul(&["import", "urls.txt"]).exits(0);
    folder.haul(&["--db", "haul.db", "demo", "--jobs", "1"]).exits(2).err_has("which the demo will not touch");
    let said = folder.haul(&["query", "--csv", "SELECT state, attempts FROM jobs"]).exits(0);
    assert_eq!(said.out, "state,attempts\npending,0\n");
}
