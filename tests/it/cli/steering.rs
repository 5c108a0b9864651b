//! What a server, an input, a key or a name says never steers the terminal on which it is shown.

use super::folder::{Folder, Said};
use crate::server::{Answer, Asked, Reply, Script, Server};

/// Clears the screen, sets the title, rings, overwrites the line, speaks C1, turns the direction of text.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\rfine \u{9b}2J \u{202e}txt.exe\u{2066} \u{8}\u{7f}";

/// The characters that a terminal obeys. Where JSON is written for programs, those that JSON writes as they are may stand.
fn steers(text: &str, json: bool) -> Option<char> {
    let obeyed = |c: &char| match c {
        '\n' | '\t' => false,
        c if *c < ' ' => true,
        '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => !json,
        _ => false,
    };
    text.chars().find(obeyed)
}

#[track_caller]
fn is_tame(said: &Said, what: &str) {
    for text in [&said.out, &said.err] {
        let json = text.trim_start().starts_with(['{', '[']);
        assert_eq!(steers(text, json), None, "{what}: {text:?}");
    }
}

fn server() -> Server {
    Server::start(Script::new(|asked: &Asked| -> Reply {
        let body = EVIL.as_bytes().to_vec();
        match asked.target.as_str() {
            "/404" => Answer { body, ..Answer::status(404) }.into(),
            "/302" => Answer::status(302).header("location", "x\u{9b}2J\u{202e}://h/").into(),
            "/raw" => Reply::Raw(format!("HTTP/1.1 200 {EVIL}\r\ncontent-length: 0\r\n\r\n").into_bytes()),
            "/header" => Answer::json("1").header("x-evil", "\u{9b}2J\u{202e}").into(),
            _ => Answer { body, ..Answer::status(200) }.into(),
        }
    }))
}

// Seen failing with `visible` giving the text as it is.
#[test]
fn nothing_that_comes_from_outside_reaches_a_terminal_raw() {
    let server = server();
    let evil = serde_json::Value::from(EVIL).to_string();
    let key = |name: &str| serde_json::Value::from(format!("{EVIL}{name}")).to_string();
    let lines: String = ["404", "302", "raw", "header", "ok"]
        .iter()
        .map(|name| format!("{{\"url\":\"{}/{name}\",\"key\":{},\"note\":{evil}}}\n", server.url(), key(name)))
        .collect();
    let folder = Folder::with("in.jsonl", &lines);
    folder.write("bad.jsonl", &format!("{{\"url\":{evil},\"key\":\"x\"}}\n{EVIL}\n"));
    let jq = ["--process", "jq:if type == \"string\" then error(.) else . end"];
    let run = ["-vv", "run", "in.jsonl", "--max-redirects", "1", "--max-attempts", "1", "--timeout", "5s"];
    let said = folder.haul(&[&run[..], &jq].concat()).env("HAUL_LOG", "debug").exits(3);
    is_tame(&said, "run");
    is_tame(&folder.haul(&["import", "bad.jsonl"]).exits(65), "import");
    let ok = format!("{EVIL}ok");
    for id in ["1", "2", "3", "4", "5"] {
        is_tame(&folder.haul(&["show", "--id", id]).exits(0), "show");
        is_tame(&folder.haul(&["show", "--id", id, "--json"]).exits(0), "show --json");
        is_tame(&folder.haul(&["show", "--id", id, "--curl"]).exits(0), "show --curl");
    }
    for call in [
        &["status"][..],
        &["status", "--json"],
        &["query", "--table", "SELECT * FROM failures"],
        &[
            "query",
            "--table",
            "SELECT key, body, row, error_message, output FROM job_view LEFT JOIN results ON job_id = id",
        ],
        &["query", "--table", "SELECT * FROM rejected"],
        &["query", "--json", "SELECT * FROM job_view"],
        &["query", "--nl", "SELECT * FROM job_view"],
        &["export"],
        &["export", "--format", "openai-batch"],
        &["retry", "--dry-run"],
        &["cancel", "--where", "true", "--dry-run"],
        &["show", &ok],
        &["query", &format!("SELECT '{ok}' FROM nothing")],
        &["query", "--table", &format!("SELECT 1 AS \"{ok}\"")],
        &["retry", "-y", "--where", &ok],
        &["run", &ok],
        &["export", "--join", &ok],
        &["--db", &ok, "status"],
    ] {
        is_tame(&folder.haul(call).ends().1, &format!("{call:?}"));
    }
    let more = |name: &str| format!("{{\"url\":\"{}/404?{name}\",\"key\":{}}}\n", server.url(), key(name));
    folder.write("stop.jsonl", &["a", "b", "c"].map(more).concat());
    is_tame(&folder.haul(&["run", "stop.jsonl", "--stop-if", "jq:true", "-c", "1"]).exits(5), "--stop-if");
}

// Seen failing with wide letters left out.
#[test]
fn no_cell_is_a_formula_where_a_spreadsheet_was_named() {
    let formulas = [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "=cmd|' /C calc'!A0",
        "=HYPERLINK(\"http://x\",\"y\")",
        "\u{ff1d}1+1",
        "\u{ff0b}1",
        "\u{ff0d}1",
        "\u{ff20}x",
    ];
    let server = Server::start(Script::new(move |asked: &Asked| {
        let n: usize = asked.key.parse().expect("a number");
        Answer::json(serde_json::json!({ formulas[n]: formulas[n], "plain": formulas[n] }).to_string())
    }));
    let line = |(n, formula): (usize, &&str)| {
        let row = serde_json::json!({"id": n, "cell": formula, "=name": "x"});
        format!("{row}\n")
    };
    let folder = Folder::with("in.jsonl", &formulas.iter().enumerate().map(line).collect::<String>());
    folder.haul(&["run", "in.jsonl", "--url", &format!("{}/{{{{ id }}}}", server.url())]).exits(0);
    let safe = folder.haul(&["export", "--format", "csv", "--spreadsheet-safe"]).exits(0);
    let mut read = csv::ReaderBuilder::new().has_headers(false).from_reader(safe.out.as_bytes());
    let mut cells = 0;
    for record in read.records() {
        for cell in &record.expect("a record") {
            let runs = cell
                .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
            assert!(!runs, "{cell:?} in:\n{}", safe.out);
            cells += usize::from(cell.starts_with('\''));
        }
    }
    assert!(cells >= formulas.len() * 3, "{cells} cells are marked");
}
