//! What an input may be: lines of JSON, packed files, other encodings.

use super::folder::Folder;
use crate::server::{Script, Server};

const BATCH: &str = r#"{"custom_id": "request-1", "method": "POST", "url": "/v1/chat", "body": {"z": 1.0, "a": [1e400]}}
{"custom_id": "request-2", "method": "POST", "url": "/v1/chat", "body": {"z": 2.0}}
"#;

// Seen failing with bodies written anew.
#[test]
fn a_batch_file_runs_as_it_is() {
    let server = Server::start(Script::ok());
    let folder = Folder::with("batch.jsonl", BATCH);
    let base = format!("{}/v1", server.url());
    folder.haul(&["run", "batch.jsonl", "--base-url", &base]).exits(0).err_has("batch.jsonl: 2 rows, 2 new jobs\n");
    assert_eq!(server.total(), 2);
    let said =
        folder.haul(&["query", "--json", "SELECT key, state, r.* FROM jobs JOIN requests r ON job_id = id"]).exits(0);
    let rows = said.rows();
    assert_eq!((&rows[0]["key"], &rows[0]["state"]), (&"request-1".into(), &"succeeded".into()));
    assert_eq!(rows[0]["url"], format!("{base}/chat"));
    assert_eq!(rows[0]["body"], r#"{"z": 1.0, "a": [1e400]}"#);
    // Again, from elsewhere and packed: nothing new.
    folder
        .shell(&format!("gzip -k batch.jsonl && cat batch.jsonl.gz | haul import - --base-url {base}"))
        .exits(0)
        .err_is("-: 2 rows, 0 new jobs, 2 known already\n");
}

// Seen failing with a key of null taken for none.
#[test]
fn bad_lines_of_json_say_why_not() {
    let folder = Folder::with(
        "rows.jsonl",
        "{\"url\":\"http://127.0.0.1:9/\"}\n\n[1]\n{\"url\":\"http://h/\",\"key\":null}\n{\"url\":\"/x\"}\n",
    );
    folder
        .haul(&["import", "rows.jsonl"])
        .exits(65)
        .err_is(
            "rows.jsonl: 4 rows, 1 new jobs, 3 rejected\n\
             \x20 line 3: the line is no JSON object: it begins with \"[1]\"\n\
             \x20 line 4: the member \"key\" is null; a key is a text or an integer\n\
             \x20 line 5: the URL \"/x\" is not absolute; it begins with http:// or https://, or --base-url says what it is \
             joined to\n\
             \x20 all of them: haul query 'SELECT line, reason, text FROM rejected'\n",
        )
        .out_is("haul.db: 1 jobs\nnext: haul run\n");
}

// Seen failing with no look at the query.
#[test]
fn a_base_that_cannot_be_one_is_wrong_usage() {
    let folder = Folder::with("a.jsonl", "{\"url\":\"/x\"}\n");
    for (base, why) in [
        ("h/v1", "\"h/v1\" cannot be used: it is not absolute; it begins with http:// or https://"),
        ("http://me:hunter2@h/", "it holds a user name or password"),
        ("http://h/?token=hunter2", "a base has neither query nor fragment; a credential is given as -H"),
    ] {
        let said = folder.haul(&["import", "a.jsonl", "--base-url", base]).exits(2).err_has(why);
        assert!(said.err.starts_with("error: --base-url ") && !said.err.contains("hunter2"), "{}", said.err);
    }
    assert_eq!(folder.names(), ["a.jsonl"]);
}

// Seen failing with the delimiter not heeded.
#[test]
fn an_encoding_is_given_by_name() {
    let folder = Folder::new();
    std::fs::write(folder.path("a.csv"), b"nr;ort\r\n1;K\xf6ln\r\n").expect("a file");
    let call = |more: &[&'static str]| {
        [&["import", "a.csv", "--delimiter", ";", "--url", "http://127.0.0.1:9/{{ ort }}"], more].concat()
    };
    folder.haul(&call(&["--encoding", "windows-1225"])).exits(2).err_has(
        "error: invalid value 'windows-1225' for '--encoding <NAME>': it is not known; did you mean windows-1252?",
    );
    folder
        .haul(&call(&[]))
        .exits(65)
        .err_has("line 2: byte 4 of the row is not UTF-8: 0xf6; --encoding says what it is, such as windows-1252");
    folder.haul(&call(&["--encoding", "windows-1252"])).exits(0).err_is("a.csv: 1 rows, 1 new jobs\n");
    folder.haul(&["query", "--csv", "SELECT url FROM requests"]).exits(0).out_is("url\nhttp://127.0.0.1:9/K%C3%B6ln\n");
}

// Seen failing with a reader that took the damage for the end.
#[test]
fn a_packed_file_that_is_cut_off_says_so_and_keeps_what_it_gave() {
    let rows =
        (0..50_000_u32).map(|n| format!("http://127.0.0.1:9/{}\n", n.wrapping_mul(2_654_435_761))).collect::<String>();
    let folder = Folder::with("urls.txt", &rows);
    folder.shell("gzip urls.txt && head -c 100000 urls.txt.gz > cut.txt.gz").exits(0);
    folder.haul(&["import", "cut.txt.gz"]).exits(1).err_has(
        "error: failed to read the input cut.txt.gz; what was read before is imported, import it again for the rest\n  \
             because: ",
    );
    let jobs = folder.haul(&["query", "--json", "SELECT count(*) AS n FROM jobs"]).exits(0).rows();
    assert!(jobs[0]["n"].as_u64().is_some_and(|n| n > 5_000), "{jobs}");
    folder.haul(&["import", "urls.txt.gz"]).exits(0).err_has("known already").out_has("haul.db: 50000 jobs");
}

#[test]
fn the_long_help_describes_the_formats() {
    for verb in ["run", "import"] {
        let said = Folder::new().haul(&[verb, "--help"]).exits(0);
        let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in
            ["lines: a URL each", "csv: a header", "jsonl: an object a line", "gzip and zstd", "OpenAI batch file"]
        {
            assert!(words.contains(part), "{verb}: {part}: {words}");
        }
    }
}
