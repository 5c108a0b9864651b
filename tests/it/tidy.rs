//! The law as a test: who may know whom, and what may stand where. Reads `src/`, `tests/` and `benches/` as text.
//!
//! A rule is a function over a file's path and text; it says what breaks it. `caught` are samples that break it, `fine`
//! are some that only look so.

use std::fs;
use std::path::Path;

use text::{bare_sql, code, lines_with, modules_named, shipped};

mod supply;
mod text;

/// Pure; each may know the others, nothing else of the crate. `report` is here with its numbers: the store reads them, and
/// whoever shows them does not ask where they lay.
const DOMAIN: [&str; 15] = [
    "attempt",
    "backoff",
    "clock",
    "hope",
    "job",
    "limit",
    "minutes",
    "near",
    "reason",
    "report",
    "request",
    "response",
    "result_line",
    "settings",
    "status",
];
/// Steps of the journey; none knows another.
const STEPS: [&str; 6] = ["import", "claim", "pace", "fetch", "process", "commit"];
/// Steps that know nothing of the store.
const STORELESS: [&str; 3] = ["pace", "fetch", "process"];
/// What joins the steps or stands above them.
const ABOVE: [&str; 4] = ["pipeline", "library", "error", "cli"];

/// What breaks a rule in a file.
type Rule = fn(path: &str, text: &str) -> Vec<String>;

/// The module of the crate root that a file of `src/` belongs to: `src/import/csv.rs` -> `import`.
fn module(path: &str) -> &str {
    let path = path.strip_prefix("src/").unwrap_or("");
    path.split('/').next().unwrap_or("").trim_end_matches(".rs")
}

fn in_cli(path: &str) -> bool {
    module(path) == "cli" || path == "src/main.rs"
}

/// A test module that is a file, or below one, of its own: none of it is shipped.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// A complaint about every line of `text` with one of these words.
fn without(words: &[&str], text: &str) -> Vec<String> {
    let complain = |word: &&str| {
        let word = (*word).to_owned();
        lines_with(text, &word).into_iter().map(move |line| format!("line {line}: `{word}`"))
    };
    words.iter().flat_map(complain).collect()
}

/// A complaint about every module named that is not `fine`.
fn names_only(text: &str, fine: impl Fn(&str) -> bool) -> Vec<String> {
    modules_named(&shipped(text)).into_iter().filter(|name| !fine(name)).map(|name| format!("crate::{name}")).collect()
}

fn domain(path: &str, text: &str) -> Vec<String> {
    if !DOMAIN.contains(&module(path)) || path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let mut broken = names_only(text, |name| DOMAIN.contains(&name));
    broken.extend(without(&["sqlx", "reqwest", "governor", "rayon", "clap", "std::net"], &shipped(text)));
    if path != "src/clock.rs" {
        broken.extend(without(&["std::fs"], &shipped(text))); // Linux shows one of its clocks as a file
    }
    broken
}

fn store(path: &str, text: &str) -> Vec<String> {
    if module(path) != "store" {
        return Vec::new();
    }
    let mut broken = names_only(text, |name| !STEPS.contains(&name) && !ABOVE.contains(&name));
    broken.extend(without(&["reqwest", "governor", "rayon", "clap"], &shipped(text)));
    broken
}

fn steps(path: &str, text: &str) -> Vec<String> {
    let step = module(path);
    if !STEPS.contains(&step) {
        return Vec::new();
    }
    let mut broken = names_only(text, |name| name == step || !(STEPS.contains(&name) || ABOVE.contains(&name)));
    if STORELESS.contains(&step) {
        broken.extend(names_only(text, |name| name != "store"));
        broken.extend(without(&["sqlx"], &shipped(text)));
    }
    broken
}

fn processor(path: &str, text: &str) -> Vec<String> {
    if path == "src/process.rs" { without(&["tokio"], &shipped(text)) } else { Vec::new() }
}

fn printing(path: &str, text: &str) -> Vec<String> {
    if in_cli(path) { Vec::new() } else { without(&["println!", "eprintln!", "print!", "eprint!"], &shipped(text)) }
}

fn clock(path: &str, text: &str) -> Vec<String> {
    if path == "src/clock.rs" { Vec::new() } else { without(&["SystemTime", "Instant::now"], &code(text)) }
}

fn unsafety(path: &str, text: &str) -> Vec<String> {
    if path == "src/store/sqlite/sandbox.rs" { Vec::new() } else { without(&["unsafe"], &code(text)) }
}

fn unwraps(path: &str, text: &str) -> Vec<String> {
    if is_test(path) { Vec::new() } else { without(&[".unwrap()"], &shipped(text)) }
}

fn user_sql(path: &str, text: &str) -> Vec<String> {
    let consoles = ["src/store/sqlite/console.rs", "src/store/postgres/console.rs"];
    if consoles.contains(&path) { Vec::new() } else { without(&["AssertSqlSafe"], &code(text)) }
}

fn loose_ends(_: &str, text: &str) -> Vec<String> {
    without(&["TODO", "FIXME"], text)
}

fn lints(_: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let mut broken = Vec::new();
    for (at, _) in code.match_indices("#[").chain(code.match_indices("#![")) {
        let attribute = code[at..].split(']').next().unwrap_or("");
        let said = attribute.replace(char::is_whitespace, "");
        if said.contains("allow(") {
            broken.push(format!("{attribute}]: say expect(.., reason = \"..\")"));
        } else if said.contains("expect(") && !said.contains("reason=") {
            broken.push(format!("{attribute}]: give a reason"));
        }
    }
    broken
}

fn length(path: &str, text: &str) -> Vec<String> {
    let (lines, most) = (text.lines().count(), if matches!(path, "src/main.rs" | "src/lib.rs") { 60 } else { 500 });
    if lines > most { vec![format!("{lines} lines, at most {most}")] } else { Vec::new() }
}

fn sql(path: &str, text: &str) -> Vec<String> {
    if !path.ends_with(".sql") || !path.starts_with("src/") {
        return Vec::new();
    }
    let mut broken = Vec::new();
    if !text.starts_with("--") {
        broken.push("begins without a comment that says what it is for".to_owned());
    }
    let bare = bare_sql(text);
    let statements = bare.split(';').filter(|statement| !statement.trim().is_empty()).count();
    if statements != 1 {
        broken.push(format!("{statements} statements, one a file"));
    }
    broken
}

/// All files of these folders with their paths from the root of the project. This file's own samples break every rule.
fn files(folders: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry of it").path();
            let name = path.strip_prefix(root).expect("it is below the root").to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs" || e == "sql") && name != "tests/it/tidy.rs" {
                files.push((name, fs::read_to_string(&path).expect("a readable file")));
            }
        }
    }
    assert!(files.iter().any(|(path, _)| path.starts_with("src/")), "found nothing to read");
    files
}

#[track_caller]
fn hold(rule: Rule, folders: &[&str]) {
    let complain = |(path, text): &(String, String)| -> Vec<String> {
        rule(path, text).into_iter().map(|what| format!("{path}: {what}")).collect()
    };
    let broken: Vec<_> = files(folders).iter().flat_map(complain).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[track_caller]
fn control(rule: Rule, caught: &[(&str, &str)], fine: &[(&str, &str)]) {
    for (path, text) in caught {
        assert!(!rule(path, text).is_empty(), "not caught: {path}: {text}");
    }
    for (path, text) in fine {
        assert_eq!(rule(path, text), [""; 0], "caught in error: {path}: {text}");
    }
}

macro_rules! laws {
    ($($name:ident: $rule:ident in $folders:expr, caught: $caught:expr, fine: $fine:expr;)*) => {
        $(mod $name {
            #[test]
            fn holds() {
                super::hold(super::$rule, &$folders);
            }

            #[test]
            fn is_seen_when_broken() {
                super::control(super::$rule, &$caught, &$fine);
            }
        })*
    };
}

laws! {
    the_domain_knows_nothing_else: domain in ["src"],
        caught: [
            ("src/job.rs", "use crate::store::Store;"),
            ("src/job.rs", "use crate::{attempt::Failure, store::{Lease, Store}};"),
            ("src/limit.rs", "fn f() { crate::pace::wait() }"),
            ("src/response.rs", "use reqwest::Body;"),
        ],
        fine: [
            ("src/job.rs", "use crate::{attempt::{Failure, Verdict}, backoff::Backoff};"),
            ("src/job.rs", "// see crate::store"),
            ("src/claim.rs", "use crate::store::Store;"),
        ];
    the_store_knows_neither_steps_nor_network: store in ["src"],
        caught: [
            ("src/store.rs", "use reqwest::Client;"),
            ("src/store/sqlite.rs", "use rayon::prelude::*;"),
            ("src/store/sqlite.rs", "use crate::fetch::Fetcher;"),
            ("src/store/memory.rs", "use crate::{job::State, pipeline};"),
        ],
        fine: [
            ("src/store.rs", "use crate::job::State; // not rayon"),
            ("src/store/sqlite/overview.rs", "use crate::report::Overview;"),
            ("src/store/sqlite.rs", "fn reqwested() {}"),
            ("src/fetch.rs", "use reqwest::Client;"),
        ];
    steps_know_nothing_of_each_other: steps in ["src"],
        caught: [
            ("src/fetch.rs", "use crate::pace::Pacer;"),
            ("src/fetch.rs", "use sqlx::Row;"),
            ("src/pace.rs", "use crate::store::Store;"),
            ("src/process/jq.rs", "use crate::{job::State, commit};"),
            ("src/claim.rs", "use crate::pipeline::Pipeline;"),
        ],
        fine: [
            ("src/claim.rs", "use crate::store::{Lease, Store};"),
            ("src/process/jq.rs", "use crate::process::Processor;"),
            ("src/pipeline.rs", "use crate::{fetch, pace};"),
        ];
    the_processor_knows_no_runtime: processor in ["src"],
        caught: [("src/process.rs", "use tokio::task;")],
        fine: [("src/process.rs", "//! never on tokio's threads"), ("src/process/command.rs", "use tokio::process;")];
    only_the_command_line_prints: printing in ["src"],
        caught: [("src/fetch.rs", "println!(\"{x}\");"), ("src/stop.rs", "    eprint!(\"!\")")],
        fine: [
            ("src/cli/run.rs", "println!();"),
            ("src/main.rs", "eprintln!();"),
            ("src/fetch.rs", "/// println!()\nfn f() {}\n#[cfg(test)]\nmod tests { fn g() { println!() } }"),
        ];
    only_the_clock_reads_time: clock in ["src"],
        caught: [("src/pace.rs", "let t = tokio::time::Instant::now();"), ("src/job.rs", "use std::time::SystemTime;")],
        fine: [("src/clock.rs", "SystemTime::now()"), ("src/pace.rs", "fn at(t: Instant) {}")];
    only_the_sandbox_is_unsafe: unsafety in ["src"],
        caught: [("src/fetch.rs", "unsafe { f() }")],
        fine: [("src/store/sqlite/sandbox.rs", "unsafe { f() }"), ("src/lib.rs", "#![deny(unsafe_code)]")];
    nothing_shipped_unwraps: unwraps in ["src"],
        caught: [("src/fetch.rs", "let x = y.unwrap();"), ("src/contests.rs", "let x = y.unwrap();")],
        fine: [
            ("src/fetch.rs", "y.unwrap_or(1)"),
            ("src/fetch.rs", "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() { y.unwrap(); }\n}"),
            ("src/pace/tests.rs", "fn g() { y.unwrap(); }"),
            ("src/pace/tests/world.rs", "fn g() { y.unwrap(); }"),
        ];
    only_the_console_runs_sql_of_users: user_sql in ["src"],
        caught: [("src/store/sqlite.rs", "sqlx::query(AssertSqlSafe(text))")],
        fine: [("src/store/sqlite/console.rs", "sqlx::query(AssertSqlSafe(text))")];
    nothing_is_left_for_later: loose_ends in ["src", "tests", "benches"],
        caught: [("src/fetch.rs", "// TODO: more"), ("tests/it/main.rs", "// FIXME")],
        fine: [("src/fetch.rs", "const TODOS: u8 = 1;")];
    lints_are_lifted_with_a_reason: lints in ["src", "tests", "benches"],
        caught: [
            ("src/fetch.rs", "#[allow(dead_code)]"),
            ("src/lib.rs", "#![allow(missing_docs, reason = \"none\")]"),
            ("src/fetch.rs", "#[expect(dead_code)]"),
            ("src/fetch.rs", "#[cfg_attr(test, allow(dead_code))]"),
            ("src/fetch.rs", "#[expect(\n    dead_code,\n)]"),
        ],
        fine: [
            ("src/fetch.rs", "#[expect(\n    dead_code,\n    reason = \"see below\"\n)]"),
            ("src/fetch.rs", "if limit.allow(1) { x.expect(\"proof\") }"),
        ];
    files_are_short: length in ["src", "tests", "benches"],
        caught: [("src/job.rs", &"\n".repeat(501)), ("src/main.rs", &"\n".repeat(61)), ("src/lib.rs", &"\n".repeat(61))],
        fine: [("src/job.rs", &"\n".repeat(500)), ("src/main.rs", &"\n".repeat(60))];
    a_statement_is_a_file_with_its_reason: sql in ["src"],
        caught: [
            ("src/store/sqlite/claim.sql", "SELECT 1;"),
            ("src/store/sqlite/claim.sql", "-- two\nSELECT 1;\nSELECT 2;"),
            ("src/store/sqlite/claim.sql", "-- none"),
        ],
        fine: [
            ("src/store/sqlite/claim.sql", "-- one; really\nSELECT ';' -- ; a trap\n;\n"),
            ("migrations/sqlite/0001_tables.sql", "CREATE TABLE a (b); CREATE TABLE c (d);"),
        ];
}

/// Crates that only the command line needs, which a program that uses the library does not build.
const OF_THE_COMMAND_LINE: [&str; 11] = [
    "anstream",
    "anyhow",
    "axum",
    "clap",
    "clap_complete",
    "clap_mangen",
    "comfy-table",
    "dotenvy",
    "indicatif",
    "owo-colors",
    "tracing-subscriber",
];

/// Dependencies of the command line that are built without it.
fn not_optional(manifest: &str) -> Vec<&str> {
    let dependencies = manifest.split("\n[dependencies]").nth(1).unwrap_or("").split("\n[").next().unwrap_or("");
    let named = |line: &&str| OF_THE_COMMAND_LINE.iter().any(|name| line.split(['=', ' ', '.']).next() == Some(name));
    dependencies.lines().filter(named).filter(|line| !line.contains("optional = true")).collect()
}

#[test]
fn the_library_builds_nothing_that_only_the_command_line_needs() {
    assert_eq!(not_optional(include_str!("../../Cargo.toml")), [""; 0]);
    let broken = "a\n[dependencies]\nserde = \"1\"\nclap = \"4\"\naxum = { optional = true }\n[dev-dependencies]\nanyhow = \"1\"";
    assert_eq!(not_optional(broken), ["clap = \"4\""], "it is seen");
}

#[test]
fn this_file_is_short_too() {
    assert!(include_str!("tidy.rs").lines().count() <= 500);
}
