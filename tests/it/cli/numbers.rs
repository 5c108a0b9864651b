//! The numbers of `status` are those of the run they are said of.

use super::folder::Folder;
use crate::server::{Script, Server};

// Seen to fail when a run was credited with all of the minute in which it began: the third had 9 requests then.
#[test]
fn a_short_run_after_another_has_its_own_numbers_alone() {
    let server = Server::start(Script::ok());
    let urls: String = (0..9).map(|n| format!("{}/{n}\n", server.url())).collect();
    let folder = Folder::with("urls.txt", &urls);
    folder.haul(&["run", "urls.txt", "-r", "100/s", "--limit", "5"]).exits(75);
    for (limit, code) in [("3", 75), ("1", 0)] {
        folder.haul(&["run", "--limit", limit]).exits(code);
        let status = folder.haul(&["status", "--json"]).exits(0).rows();
        let n: u64 = limit.parse().expect("a number");
        assert_eq!((&status["requests"]["n"], &status["results"]["n"]), (&n.into(), &n.into()));
        for stage in status["latency"].as_array().expect("stages") {
            assert_eq!(stage["n"], n, "{stage}");
        }
        let mean = status["requests"]["mean_per_s"].as_f64().expect("a rate");
        assert!(mean > 0.0, "{mean}");
    }
    folder.haul(&["status"]).exits(0).out_has("requests  1 in this run, ");
}
