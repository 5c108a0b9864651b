//! Where a setting comes from: flags, the environment, `./.env`, the last run, the defaults.

use super::folder::Folder;
use crate::server::{Script, Server};

fn folder(server: &Server) -> Folder {
    Folder::with("urls.txt", &(0..9).map(|n| format!("{}/{n}\n", server.url())).collect::<String>())
}

/// A setting of the last run.
fn last(folder: &Folder, path: &str) -> serde_json::Value {
    let sql = format!("SELECT settings ->> '{path}' AS it FROM runs ORDER BY id DESC LIMIT 1");
    folder.haul(&["query", "--json", &sql]).exits(0).rows()[0]["it"].clone()
}

const RATE: &str = "$.limits[0].name";

#[test]
fn a_rate_comes_from_the_flag_then_the_environment_then_the_file_then_the_last_run() {
    let server = Server::start(Script::ok());
    let folder = folder(&server);
    folder.haul(&["run", "urls.txt", "--limit", "1"]).exits(75);
    assert_eq!(last(&folder, RATE), serde_json::Value::Null, "no limit is the default");
    folder.write(".env", "HAUL_RATE=201/s\n");
    folder.haul(&["run", "--limit", "1"]).exits(75);
    assert_eq!(last(&folder, RATE), "201/s");
    folder.haul(&["run", "--limit", "1"]).env("HAUL_RATE", "202/s").exits(75);
    assert_eq!(last(&folder, RATE), "202/s", "what is set goes before the file");
    folder.haul(&["run", "--limit", "1", "--rate", "203/s"]).env("HAUL_RATE", "202/s").exits(75);
    assert_eq!(last(&folder, RATE), "203/s");
    std::fs::remove_file(folder.path(".env")).expect("gone");
    folder.haul(&["resume", "--limit", "2"]).exits(75).out_has("(limit 203/s)");
    assert_eq!(last(&folder, RATE), "203/s", "remembered");
}

#[test]
fn a_given_rate_replaces_the_whole_set() {
    let server = Server::start(Script::ok());
    let folder = folder(&server);
    folder.haul(&["run", "urls.txt", "--limit", "1", "--rate", "200/s", "--rate", "9000/h"]).exits(75);
    assert_eq!((last(&folder, RATE), last(&folder, "$.limits[1].name")), ("200/s".into(), "9000/h".into()));
    folder.haul(&["run", "--limit", "1"]).env("HAUL_RATE", "300/s,8000/h").exits(75);
    assert_eq!((last(&folder, RATE), last(&folder, "$.limits[1].name")), ("300/s".into(), "8000/h".into()));
    folder.haul(&["run", "--limit", "1", "--rate", "400/s"]).exits(75);
    assert_eq!((last(&folder, RATE), last(&folder, "$.limits[1].name")), ("400/s".into(), serde_json::Value::Null));
}

#[test]
fn a_bare_run_does_as_the_last_one_was_told() {
    let server = Server::start(Script::ok());
    let folder = folder(&server);
    let flags = ["-c", "3", "-r", "200/s", "--process", "jq:.key", "--timeout", "7s", "--sla", "2s"];
    let call: Vec<_> = ["run", "urls.txt", "--limit", "2"].into_iter().chain(flags).collect();
    folder.haul(&call).exits(75);
    let settings = || ["$.concurrency", RATE, "$.process", "$.timeout", "$.sla"].map(|path| last(&folder, path));
    let told = settings();
    assert_eq!(
        told[..3],
        ["3", "\"200/s\"", "\"jq:.key\""].map(|json| serde_json::from_str::<serde_json::Value>(json).expect("JSON"))
    );
    for verb in ["run", "resume"] {
        folder.haul(&[verb, "--limit", "2"]).exits(75).out_has("(limit 200/s)").out_has("within 2s");
        assert_eq!(settings(), told, "{verb}");
    }
    // What is about one run alone is forgotten.
    folder.haul(&["resume", "--process", "none"]).exits(0);
    folder
        .haul(&[
            "query",
            "--csv",
            "SELECT result, count(*) AS n FROM job_view WHERE id <= 6 GROUP BY result LIKE '\"%'",
        ])
        .exits(0)
        .out_has(",6\n");
}

#[test]
fn the_env_file_of_this_folder_is_read_and_none_of_its_parents() {
    let folder = Folder::with("urls.txt", "http://127.0.0.1:9/a\n");
    folder.write(".env", "HAUL_DB=named.db\n");
    folder.haul(&["import", "urls.txt"]).exits(0).out_has("named.db: 1 jobs");
    folder.haul(&["--db", "flag.db", "import", "urls.txt"]).exits(0).out_has("flag.db: 1 jobs");
    folder.haul(&["import", "urls.txt"]).env("HAUL_DB", "set.db").exits(0).out_has("set.db: 1 jobs");
    std::fs::create_dir(folder.path("sub")).expect("a folder");
    folder.haul(&["status"]).below("sub").exits(4).err_has("no database at haul.db");
}

#[test]
fn an_env_file_with_a_broken_line_is_warned_about_without_its_text() {
    let folder = Folder::with(".env", "HAUL_DB=named.db\nhunter2 is no assignment\n");
    let said = folder.haul(&["status"]).exits(4).err_has("warning: ./.env").err_has("named.db");
    assert!(!said.err.contains("hunter2"), "{}", said.err);
}
