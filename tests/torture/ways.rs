//! What the program is doing when it dies, how it is called again, and what must be there in the end.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use haul::fail_point::Point::{self, *};

use crate::resume::bench::Bench;
use crate::server::{Answer, Asked, Reply, Script, Server};
use crate::trial::{Found, Trial, sound};
use crate::upgrade;

/// What it is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `import` of a file of several chunks, into a new database.
    Import,
    /// The same, all or nothing.
    Strict,
    /// Any verb on a database of the first schema.
    Upgrade,
    /// A run under a limit, with a processor.
    Run,
    /// The run after one that died with jobs in flight.
    Recover,
    /// A run whose requests are redirected.
    Redirects,
    /// A run that is refused once with a 429.
    Throttled,
    /// A run that stops while jobs wait for their permits.
    Stopped,
    /// `export` to a file that is there already.
    Export,
}

/// Rows of an import: more than two chunks.
const ROWS: usize = 12_000;
/// Jobs of a run.
const JOBS: usize = 60;
/// Jobs in flight at most, in every way.
pub(crate) const CONCURRENCY: u64 = 8;
/// Requests in a window, at most.
const PERMITS: usize = 20;
const WINDOW: Duration = Duration::from_millis(200);
/// Takes a moment, so that a response is durable before its result is there.
pub(crate) const PROCESS: &str = "jq:[range(3000)] | length";
const RUN: &[&str] =
    &["run", "--rate", "20/200ms", "--jitter", "150ms", "-c", "8", "--process", PROCESS, "--max-redirects", "3"];
const OLD: &str = "an answer of long ago\n";

impl Way {
    pub(crate) const ALL: [Self; 9] = [
        Self::Import,
        Self::Strict,
        Self::Upgrade,
        Self::Run,
        Self::Recover,
        Self::Redirects,
        Self::Throttled,
        Self::Stopped,
        Self::Export,
    ];

    /// The moments that it comes to.
    pub(crate) fn points(self) -> &'static [Point] {
        match self {
            Self::Import => &[Created, Migrated, Opened, BeforeCommit, AfterCommit, ImportBegun, ChunkImported, Closed],
            Self::Strict => &[PartImported],
            Self::Upgrade => &[Migrated, Opened],
            Self::Run => &[
                Opened,
                BeforeCommit,
                AfterCommit,
                RunBegun,
                Recovered,
                AfterClaim,
                BeforeSend,
                Sending,
                AfterHead,
                MidBody,
                AfterBody,
                BeforeFetchCommit,
                AfterFetchCommit,
                Processing,
                BeforeResultCommit,
                AfterResultCommit,
                BeforeEnd,
                AfterEnd,
                Closed,
            ],
            Self::Recover => &[
                Opened,
                LeasesFreed,
                BeforeCommit,
                AfterCommit,
                RunBegun,
                Recovered,
                AfterClaim,
                BeforeSend,
                AfterBody,
                AfterFetchCommit,
                Accused,
                Processing,
                BeforeResultCommit,
                AfterResultCommit,
            ],
            Self::Redirects => &[AfterSpend, Sending, AfterBody],
            Self::Throttled => &[AfterPause],
            Self::Stopped => &[BeforeGiveBack, AfterGiveBack],
            Self::Export => &[ExportBegun, ExportRow, ExportSynced, ExportNamed],
        }
    }

    /// Dies at these passages, one process after the other, and then goes on to the end. `None`: one of them did not come.
    pub(crate) fn tried(self, fails: &[(Point, u64)]) -> Option<Found> {
        let mut trial = self.prepared();
        let args = self.args(&trial);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        for (point, nth) in fails {
            let fail = format!("{}:{nth}", point.name());
            let died = (0..self.tries()).any(|_| trial.dies(trial.haul_failing(&args, &fail)).is_ok());
            if !died {
                return None;
            }
        }
        Some(self.ends(&trial, &args))
    }

    /// Whether the moment comes is, in one case, a matter of luck.
    fn tries(self) -> usize {
        if self == Self::Stopped { 8 } else { 1 }
    }

    fn prepared(self) -> Trial {
        let server = Server::start(Script::new(answer).latency(Duration::from_millis(10)).goes_first());
        let keys: Vec<_> = (0..JOBS).map(|n| format!("{n:04}")).collect();
        let bench = Bench::empty();
        match self {
            Self::Import | Self::Strict => {
                let mut rows = String::new();
                (0..ROWS).for_each(|n| writeln!(rows, "{}/{n}", server.url()).expect("a string takes it"));
                fs::write(input(&bench), rows).expect("the input");
            }
            Self::Upgrade => upgrade::old(&bench.db(), &server.url(), JOBS),
            Self::Run | Self::Recover | Self::Stopped => bench.import(&server, &keys),
            Self::Redirects => bench.import_at(&format!("{}/hop", server.url()), &keys),
            Self::Throttled => bench.import_at(&format!("{}/full", server.url()), &keys),
            Self::Export => {
                bench.import(&server, &keys);
                bench.run(RUN).exits(0);
                fs::write(output(&bench), OLD).expect("an old file");
            }
        }
        let mut trial = Trial::new(bench, server);
        if self == Self::Recover {
            // Some are fetched and some are not, and all that were in flight are suspects.
            trial.dies(trial.haul_failing(RUN, "processing:5")).expect("it dies");
        }
        trial
    }

    fn args(self, trial: &Trial) -> Vec<String> {
        let input = input(&trial.bench).display().to_string();
        let output = output(&trial.bench).display().to_string();
        let args: Vec<&str> = match self {
            Self::Import => vec!["import", &input],
            Self::Strict => vec!["import", &input, "--strict"],
            Self::Stopped => vec!["run", "--rate", "8/200ms", "-c", "8", "--for", "250ms"],
            Self::Export => vec!["export", "-o", &output],
            Self::Upgrade | Self::Run | Self::Recover | Self::Redirects | Self::Throttled => RUN.to_vec(),
        };
        args.into_iter().map(str::to_owned).collect()
    }

    /// Goes on to the end; what must be there then, is.
    fn ends(self, trial: &Trial, args: &[&str]) -> Found {
        let bench = &trial.bench;
        match self {
            Self::Import | Self::Strict => {
                if bench.db().exists() && self == Self::Strict {
                    assert_eq!(rows(bench), 0, "all or nothing");
                }
                bench.run(args).exits(0);
                sound(&bench.db());
                assert_eq!(bench.number("SELECT count(*) FROM jobs"), ROWS as i64, "each row is a job, once");
                return Found { kills: trial.lives.len() as u64, ..Found::default() };
            }
            Self::Export => {
                let found = fs::read_to_string(output(bench)).expect("the file");
                let whole = |text: &str| text.ends_with('\n') && text.lines().count() == JOBS;
                assert!(found == OLD || whole(&found), "a file is whole, or the old one: {found}");
                bench.run(args).exits(0);
                let found = fs::read_to_string(output(bench)).expect("the file");
                assert!(whole(&found) && found.lines().all(|line| line.contains("succeeded")), "{found}");
            }
            Self::Stopped => drop(bench.run(&["resume"]).exits(0)),
            Self::Upgrade | Self::Run | Self::Recover | Self::Redirects | Self::Throttled => {
                bench.run(args).exits(0);
            }
        }
        trial.found(JOBS, PERMITS, WINDOW)
    }
}

/// Rows that became jobs so far.
fn rows(bench: &Bench) -> i64 {
    bench.number("SELECT count(*) FROM jobs")
}

fn input(bench: &Bench) -> PathBuf {
    bench.db().with_file_name("urls.txt")
}

fn output(bench: &Bench) -> PathBuf {
    bench.db().with_file_name("answers.jsonl")
}

/// Sends `/hop/KEY` elsewhere, and refuses one of `/full/KEY` once.
fn answer(asked: &Asked) -> Reply {
    match asked.target[1..].split_once('/') {
        Some(("hop", key)) => Answer::status(302).header("location", &format!("/there?k=hop-{key}")).into(),
        Some(("full", "0007")) if asked.nth == 1 => Answer::status(429).header("retry-after", "1").into(),
        _ => Answer::json(format!(r#"{{"key":{:?}}}"#, asked.key)).into(),
    }
}
