//! What the power is cut in: a run, a migration, and a database that is written anew. Recorded once, as the program does it.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::disk::Disk;
use crate::record::{Event, events, recorded};
use crate::resume::bench::Bench;
use crate::server::{Answer, Asked, Script, Server};
use crate::trial::Trial;
use crate::upgrade;

/// Jobs of each database.
const JOBS: usize = 200;

/// What is done to a database that an image was made of, to see that it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Resume,
    Prune,
}

/// A program that was recorded, and the disk it began with.
pub(crate) struct Recorded {
    pub(crate) disk: Disk,
    pub(crate) events: Vec<Event>,
    pub(crate) jobs: usize,
    /// Jobs that were done before.
    pub(crate) done_before: u64,
    then: Then,
    /// There for those that go on.
    _server: Server,
}

/// Runs the program on jobs, and records it.
pub(crate) fn record(durability: &str) -> Recorded {
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, JOBS);
    let process = ["--process", "jq:[range(500)] | length"];
    let mut args = vec!["-vv", "run", "-c", "8", "--progress", "none", "--durability", durability];
    args.extend(process);
    let recorded = Recorded::of(Trial::new(bench, server), &args, 0, Then::Resume);
    let events = &recorded.events;
    let sent: BTreeSet<_> =
        events.iter().filter_map(|event| if let Event::Sent(key) = event { Some(key) } else { None }).collect();
    let told = events.iter().filter_map(|event| if let Event::Done(done) = event { Some(*done) } else { None }).max();
    assert_eq!((sent.len(), told), (JOBS, Some(JOBS as u64)), "the record is whole");
    recorded
}

/// Opens a database of the first schema for the first time.
pub(crate) fn record_migration() -> Recorded {
    let server = Server::start(Script::ok());
    let bench = Bench::empty();
    upgrade::old(&bench.db(), &server.url(), JOBS);
    // The least that a verb that writes can do: a row that is there already.
    let row = format!("url,key\n{}/0000,0000\n", server.url());
    fs::write(bench.db().with_file_name("rows.csv"), row).expect("the input");
    Recorded::of(Trial::new(bench, server), &["import", "rows.csv", "--key", "{{ key }}"], 0, Then::Resume)
}

/// Writes a database anew, without the responses that take most of its room.
pub(crate) fn record_vacuum() -> Recorded {
    let large = |asked: &Asked| Answer::json(format!(r#"{{"key":{:?},"pad":"{}"}}"#, asked.key, "x".repeat(3_000)));
    let server = Server::start(Script::new(large));
    let bench = Bench::with_jobs(&server, JOBS);
    bench.run(&["run", "-c", "64", "--process", "jq:.key"]).exits(0);
    Recorded::of(Trial::new(bench, server), &["prune", "--responses"], JOBS as u64, Then::Prune)
}

impl Recorded {
    fn of(trial: Trial, args: &[&str], done_before: u64, then: Then) -> Self {
        let disk = Disk::of(&trial.bench.db());
        let log = trial.bench.db().with_file_name("strace.log");
        let program: Command = recorded(&trial.haul(args), &log);
        trial.bench.spawn(program).wait().exits(0);
        let events = events(&log, &trial.bench.db());
        let syncs = events.iter().filter(|event| matches!(event, Event::Synced(_))).count();
        assert!(syncs > 1, "something was made durable");
        Self { disk, events, jobs: JOBS, done_before, then, _server: trial.server }
    }

    /// Every job has its result in the end, once.
    pub(crate) fn goes_on(&self, bench: &Bench) {
        match self.then {
            Then::Resume => drop(bench.run(&["resume", "--durability", "crash", "-c", "64"]).exits(0)),
            Then::Prune => {
                bench.run(&["prune", "--responses"]).exits(0);
                assert_eq!(bench.number("SELECT count(*) FROM responses"), 0, "they are dropped");
            }
        }
        let left = bench.number("SELECT count(*) FROM jobs WHERE state <> 'succeeded'");
        let results = bench.number("SELECT count(DISTINCT job_id) FROM results");
        assert_eq!((left, results), (0, JOBS as i64));
        let _ = fs::remove_file(bench.db());
    }
}
