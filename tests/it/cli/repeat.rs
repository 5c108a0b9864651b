//! One request many times, without an input.

use super::folder::Folder;
use crate::server::{Script, Server};

// Seen failing with equal requests made one job.
#[test]
fn the_same_again_adds_nothing_and_a_larger_number_the_difference() {
    let folder = Folder::new();
    let import = |n: &'static str| ["import", "--url", "http://127.0.0.1:9/", "-X", "POST", "--repeat", n];
    folder
        .haul(&import("2"))
        .exits(0)
        .err_is("--repeat 2: 2 rows, 2 new jobs\n")
        .out_is("haul.db: 2 jobs\nnext: haul run\n");
    folder.haul(&import("2")).exits(0).err_is("--repeat 2: 2 rows, 0 new jobs, 2 known already\n");
    folder.haul(&import("5")).exits(0).err_is("--repeat 5: 5 rows, 3 new jobs, 2 known already\n");
    let keys = "SELECT substr(key, 65) AS k, row ->> 'n' AS n FROM jobs JOIN requests ON job_id = id";
    folder.haul(&["query", "--tsv", keys]).exits(0).out_is("k\tn\n\t1\n-2\t2\n-3\t3\n-4\t4\n-5\t5\n");
}

// Seen failing with the number under another name.
#[test]
fn a_run_repeats_and_templates_see_the_number() {
    let server = Server::start(Script::ok());
    let folder = Folder::new();
    let url = format!("{}/{{{{ n }}}}", server.url());
    folder.haul(&["run", "--url", &url, "--key", "try {{ n }}", "--repeat", "3"]).exits(0);
    assert_eq!(server.total(), 3);
    folder.haul(&["query", "--csv", "SELECT key FROM jobs"]).exits(0).out_is("key\ntry 1\ntry 2\ntry 3\n");
    // The URL is remembered.
    folder.haul(&["import", "--repeat", "4", "-q"]).exits(0).out_has("haul.db: 4 jobs");
}

// Seen failing with no look for a --url.
#[test]
fn what_cannot_be_repeated_is_wrong_usage() {
    let folder = Folder::with("urls.txt", "http://127.0.0.1:9/\n");
    for verb in ["run", "import"] {
        folder
            .haul(&[verb, "urls.txt", "--repeat", "2"])
            .exits(2)
            .err_has("the argument '[INPUT]...' cannot be used with '--repeat <N>'");
        folder
            .haul(&[verb, "--repeat", "2"])
            .exits(2)
            .err_is("error: --repeat repeats the request of --url, and none is given\n");
        folder.haul(&[verb, "--repeat", "0", "--url", "http://h/"]).exits(2).err_has("0 is not in 1..=1000000000");
    }
    folder.haul(&["import"]).exits(2).err_has("required");
    assert_eq!(folder.names(), ["urls.txt"]);
}
