//! `--sla`: what was in time is told by run, and that the CPU cannot keep up while it can still be mended.

use super::folder::Folder;
use crate::server::{Script, Server};

fn folder(server: &Server, jobs: usize) -> Folder {
    Folder::with("urls.txt", &(0..jobs).map(|n| format!("{}/{n}\n", server.url())).collect::<String>())
}

// Seen failing with `late` left out of begin_run.sql: two late ones of the first run counted in the second.
#[test]
fn what_was_in_time_is_told_by_run() {
    let server = Server::start(Script::ok());
    let folder = folder(&server, 5);
    folder
        .haul(&["run", "urls.txt", "--sla", "1us", "--limit", "2"])
        .exits(75)
        .out_has("SLA       0 of 2 within 1us (0.0 %), 2 late");
    folder.haul(&["status"]).exits(0).out_has("0.00 % in time in this run, 2 late\n");
    folder.haul(&["resume", "--sla", "60s"]).exits(0).out_has("SLA       3 of 3 within 1m (100.0 %), 0 late");
    let status = folder.haul(&["status", "--json"]).exits(0).rows();
    let told = |of: &str| (status[of]["within"].as_u64(), status[of]["late"].as_u64(), status[of]["sla_ms"].as_f64());
    assert_eq!(
        (told("run_sla"), told("sla")),
        ((Some(3), Some(0), Some(60_000.0)), (Some(3), Some(2), Some(60_000.0)))
    );
    folder
        .haul(&["status"])
        .exits(0)
        .out_has("SLA of 60000 ms: 100.00 % in time in this run, 0 late\n\nSLA of 60000 ms: 60.00 % in time in all runs, 2 late\n");
}

// Seen failing with the event left out of `Committer::keep_up`.
#[test]
fn that_the_cpu_cannot_keep_up_is_said_once_while_it_runs() {
    let server = Server::start(Script::ok());
    let folder = folder(&server, 40);
    let slow = ["--process", "jq:[range(30000)] | add", "--threads", "1", "--rate", "500/s", "--sla", "500ms"];
    let said = folder.haul(&[&["run", "urls.txt", "--progress", "json"], &slow[..]].concat()).exits(0);
    let notes: Vec<_> = said.err.lines().filter(|line| line.contains("{\"note\":\"processing needs ")).collect();
    let [note] = notes[..] else { panic!("not one note: {}", said.err) };
    assert!(note.contains(" cores at 500/s, there are 1: the SLA cannot hold above "), "{note}");
}
