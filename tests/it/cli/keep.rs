//! `--keep-responses` and `--compress`: what of the answers stays, and how it lies there.

use super::folder::Folder;
use crate::server::{Answer, Asked, Script, Server};

/// Long enough to be packed, and easy to.
fn body(n: &str) -> String {
    format!(r#"{{"n":{n},"pad":"{}"}}"#, "abc ".repeat(1_000))
}

/// Answers 404 to `gone`, a number that is none to `text`, bytes to `bytes`, little to `short`.
fn server() -> Server {
    Server::start(Script::new(|asked: &Asked| match asked.key.as_str() {
        "gone" => Answer { body: body("0").into_bytes(), ..Answer::status(404) },
        "text" => Answer::json(body("\"x\"")),
        "bytes" => Answer { body: [b"\xff\x00".as_slice(), &[7; 4_000]].concat(), ..Answer::status(200) },
        "short" => Answer::json(r#"{"n":3}"#),
        _ => Answer::json(body("1")),
    }))
}

fn drained(server: &Server, keys: &[&str], flags: &[&str]) -> Folder {
    let urls: String = keys.iter().map(|key| format!("{}/{key}\n", server.url())).collect();
    let folder = Folder::with("urls.txt", &urls);
    let run = ["-q", "run", "urls.txt", "--process", "jq:.n + 0", "--max-attempts", "1"];
    folder.haul(&[&run, flags].concat()).exits(3);
    folder
}

fn column(folder: &Folder, sql: &str) -> Vec<String> {
    folder.haul(&["query", "--csv", sql]).exits(0).out.lines().skip(1).map(str::to_owned).collect()
}

const STORED: &str = "SELECT job_id FROM responses ORDER BY 1";

// Seen failing with `drops_response` never true, and with it true for every state under `failed`.
#[test]
fn a_response_stays_of_all_jobs_of_failed_ones_or_of_none_and_that_is_remembered() {
    let server = server();
    for (keep, stored) in [("all", &["1", "2", "3"][..]), ("failed", &["2", "3"]), ("none", &[])] {
        let folder = drained(&server, &["ok", "text", "gone"], &["--keep-responses", keep]);
        assert_eq!(column(&folder, STORED), stored, "{keep}");
        assert_eq!(column(&folder, "SELECT output FROM results"), ["1"], "{keep}: the result is there");
        folder.write("more.txt", &format!("{}/more\n", server.url()));
        folder.haul(&["-q", "import", "more.txt"]).exits(0);
        folder.haul(&["-q", "resume"]).exits(3);
        assert_eq!(column(&folder, STORED).len(), stored.len() + usize::from(keep == "all"), "{keep} is remembered");
        if keep == "failed" {
            // The failed one is processed again, and its response stays: no reprocess takes one away.
            folder.haul(&["-q", "reprocess", "--process", "jq:.n", "--where", "error_type = 'process_error'"]).exits(0);
            assert_eq!(column(&folder, STORED), ["2", "3"]);
        }
        if keep == "none" {
            folder
                .haul(&["reprocess"])
                .exits(0)
                .out_has("left alone: 4 jobs without a stored response (pruned, or not kept)");
        }
    }
}

// Seen failing with the encoding left out of claimed_responses.sql: the processor got packed bytes.
#[test]
fn packed_bodies_are_read_by_everything_that_reads_bodies() {
    let server = server();
    let folder = drained(&server, &["ok", "text", "gone", "bytes", "short"], &["--compress"]);
    let packed =
        column(&folder, "SELECT job_id || ' ' || coalesce(body_encoding, '-') || ' ' || typeof(body) FROM responses");
    assert_eq!(packed, ["1 zstd blob", "2 zstd blob", "3 zstd blob", "4 zstd blob", "5 - text"]);
    assert_eq!(column(&folder, "SELECT max(octet_length(body)) < 200 FROM responses"), ["1"]);
    folder.haul(&["show", "--id", "1", "--body"]).exits(0).out_is(&body("1"));
    folder.haul(&["-q", "export", "--bodies", "bodies", "-o", "out.jsonl"]).exits(0);
    let entries = std::fs::read_dir(folder.path("bodies")).expect("a folder");
    let mut lengths: Vec<_> = entries.map(|entry| entry.expect("a file").metadata().expect("a file").len()).collect();
    lengths.sort_unstable();
    let long = body("1").len() as u64;
    assert_eq!(lengths, [7, 4_002, long, long, long + 2]);
    folder.haul(&["export", "--format", "openai-batch"]).exits(0).out_has(&body("1"));
    folder.haul(&["-q", "reprocess", "--process", "jq:.pad | length", "--where", "id < 3"]).exits(0);
    assert_eq!(column(&folder, "SELECT output FROM results WHERE job_id < 3"), ["4000", "4000"]);
    folder.haul(&["reprocess", "--dry-run", "1", "--process", "jq:.n"]).exits(0).out_has("  after   1\n");
    // Taken back, new ones are stored as they come.
    folder.haul(&["-q", "retry", "-y", "--refetch", "--where", "id = 1"]).exits(0);
    folder.haul(&["-q", "resume", "--compress=false"]).exits(3);
    assert_eq!(
        column(&folder, "SELECT typeof(body) FROM responses WHERE job_id = 1 AND body_encoding IS NULL"),
        ["text"]
    );
}
