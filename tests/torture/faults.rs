//! 9: a disk that is full, that fails, that may not be written, or no file left to open: at some call, once or from then on.
//!
//! strace answers the call in the place of the system: in a run, in one whose requests are redirected, and in the one after a run
//! that died while it processed. Then the same once more with real file systems: one too small, one read-only.

use std::collections::BTreeMap;
use std::fs;

use crate::denied;
use crate::full;
use crate::resume::bench::{Bench, Ended};
use crate::row::{Figures, Row, Size};
use crate::server::{Answer, Asked, Script, Server};
use crate::strace;
use crate::trial::{Trial, sound};

/// Seen failing with an end that named the second failure of a disk instead of the first; and with a sign of life that ended a
/// stall, so that it lasted for ever: the run on the full disk did not end.
pub(crate) const ROW: Row = Row { name: "9", what: "full, failing and read-only disks", run };

const JOBS: usize = 30;
const CONCURRENCY: u64 = 4;
/// The limit is wide, and has permits written down all the same: for redirects too.
const WORK: &[&str] = &["-c", "4", "--rate", "1000/s", "--max-redirects", "3", "--process", "jq:[range(500)] | length"];

/// A call on a file of the database, what the system says to it, and what the program is to make of that.
struct Fault {
    call: &'static str,
    file: &'static str,
    error: &'static str,
    once: Once,
}

/// What one such answer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Once {
    /// The run outlasts it.
    Outlasted,
    /// The run may end by it, and says so.
    MayEnd,
}

const FAULTS: &[Fault] = &[
    Fault { call: "pwrite64", file: "jobs.db-wal", error: "ENOSPC", once: Once::Outlasted },
    Fault { call: "pwrite64", file: "jobs.db-wal", error: "EIO", once: Once::MayEnd },
    Fault { call: "fdatasync", file: "jobs.db-wal", error: "EIO", once: Once::MayEnd },
    Fault { call: "pread64", file: "jobs.db-wal", error: "EIO", once: Once::MayEnd },
    Fault { call: "pwrite64", file: "jobs.db", error: "ENOSPC", once: Once::MayEnd },
    Fault { call: "pwrite64", file: "jobs.db", error: "EIO", once: Once::MayEnd },
    Fault { call: "fdatasync", file: "jobs.db", error: "EIO", once: Once::MayEnd },
    Fault { call: "pread64", file: "jobs.db", error: "EIO", once: Once::MayEnd },
    Fault { call: "pwrite64", file: "jobs.db-shm", error: "ENOSPC", once: Once::MayEnd },
    Fault { call: "ftruncate", file: "jobs.db-shm", error: "ENOSPC", once: Once::MayEnd },
    Fault { call: "openat", file: "jobs.db", error: "EMFILE", once: Once::MayEnd },
    Fault { call: "openat", file: "jobs.db", error: "EACCES", once: Once::MayEnd },
    Fault { call: "openat", file: "jobs.db-wal", error: "EMFILE", once: Once::MayEnd },
    Fault { call: "openat", file: "jobs.db-shm", error: "EROFS", once: Once::MayEnd },
    Fault { call: "openat", file: "jobs.db.lock", error: "EROFS", once: Once::MayEnd },
    Fault { call: "write", file: "jobs.db.lock", error: "ENOSPC", once: Once::MayEnd },
];

/// What the run has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Plain,
    /// Each request is redirected, under a permit of its own that is written down first.
    Redirects,
    /// A run died with jobs in processing: they are accused one by one.
    Suspects,
}

/// What all points came to.
#[derive(Default)]
struct Found {
    points: u64,
    /// Points at which the system did answer so.
    hit: u64,
    lost: u64,
    dup: u64,
    /// Points that cost more than what was in flight.
    over: u64,
    blamed: i64,
    exits: BTreeMap<String, u64>,
}

fn run(figures: &mut Figures) {
    full::few_files(figures);
    full::small_disk(figures);
    full::full_disk(figures);
    full::read_only(figures);
    full::in_memory(figures);
    full::network(figures);
    full::small_temporary(figures);
    denied::modes(figures);
    denied::immutable(figures);
    let mut found = Found::default();
    if strace::is_there(figures) {
        for fault in FAULTS {
            // What only one of them writes goes through the log.
            let writes = fault.file == "jobs.db-wal" && matches!(fault.call, "pwrite64" | "fdatasync");
            let works: &[Work] = if writes { &[Work::Plain, Work::Redirects, Work::Suspects] } else { &[Work::Plain] };
            for work in works {
                for nth in work.nths(fault, figures.size) {
                    for and_on in ["", "+"] {
                        found.one(fault, *work, *nth, and_on);
                        found.note(figures);
                    }
                }
            }
        }
        let Found { lost, dup, over, blamed, .. } = found;
        assert_eq!((lost, dup, over, blamed), (0, 0, 0, 0), "lost, double, over, blamed");
        assert!(found.hit * 2 > found.points, "most points are reached: {} of {}", found.hit, found.points);
    }
}

impl Work {
    /// Calls that fail. What is written for a redirect, or before a suspect is processed, comes after the run has begun.
    fn nths(self, fault: &Fault, size: Size) -> &'static [u64] {
        match (size, self, fault.call) {
            (Size::Long, ..) => &[1, 2, 3, 4, 5, 7, 9, 13, 17, 23, 31, 43, 61, 71, 97],
            (Size::Ci, Self::Plain, _) => &[1, 9],
            (Size::Ci, _, "fdatasync") => &[3, 4, 5],
            (Size::Ci, ..) => &[23, 45, 57],
        }
    }

    fn prepared(self) -> Trial {
        let answer = |asked: &Asked| match asked.target.strip_prefix("/hop/") {
            Some(key) => Answer::status(302).header("location", &format!("/there?k=hop-{key}")),
            None => Answer::json("1"),
        };
        let server = Server::start(Script::new(answer));
        let keys: Vec<_> = (0..JOBS).map(|n| format!("{n:04}")).collect();
        let bench = Bench::empty();
        match self {
            Self::Redirects => bench.import_at(&format!("{}/hop", server.url()), &keys),
            Self::Plain | Self::Suspects => bench.import(&server, &keys),
        }
        let mut trial = Trial::new(bench, server);
        if self == Self::Suspects {
            trial.dies(trial.haul_failing(&[&["run"], WORK].concat(), "processing:3")).expect("it dies");
        }
        trial
    }
}

impl Found {
    fn one(&mut self, fault: &Fault, work: Work, nth: u64, and_on: &str) {
        let trial = work.prepared();
        let file = |name: &str| trial.bench.db().with_file_name(name);
        let (log, faulty) = (file("log"), file(fault.file));
        let program = trial.haul(&[&["resume", "--grace", "1s"], WORK].concat());
        let inject = format!("{}:error={}:when={nth}{and_on}", fault.call, fault.error);
        let what = format!("{work:?}, {inject} on {}", fault.file);
        let traced = strace::injected(&program, fault.call, &[faulty], &log, &inject);
        let ended = trial.bench.spawn(traced).wait();
        let hit = fs::read_to_string(log).expect("the log").contains("(INJECTED)");
        judge(&what, fault, and_on.is_empty(), hit, &ended);
        sound(&trial.bench.db());
        // One that failed before it had begun is not remembered, so what it was told is said again.
        trial.bench.run(&[&["resume", "--grace", "60s"], WORK].concat()).exits(0);
        sound(&trial.bench.db());
        // Arrivals of redirects, whose keys begin with `hop-`, are no repetitions.
        let all = trial.server.arrivals();
        let arrivals: Vec<_> = all.into_iter().filter(|arrival| !arrival.key.starts_with("hop-")).collect();
        let checked = trial.bench.check(JOBS, &arrivals);
        let leased: usize = trial.lives.iter().map(|died| died.leases.len()).sum();
        self.points += 1;
        self.hit += u64::from(hit);
        self.lost += checked.lost + checked.leased;
        self.dup += checked.dup;
        self.over += u64::from(arrivals.len() as u64 > JOBS as u64 + leased as u64 + CONCURRENCY);
        self.blamed += trial.bench.number("SELECT count(*) FROM jobs WHERE error_type IS NOT NULL OR failures > 0");
        let end = if hit {
            ended.status.code().map_or("signal".to_owned(), |code| code.to_string())
        } else {
            "not hit".to_owned()
        };
        *self.exits.entry(end).or_default() += 1;
    }

    fn note(&self, figures: &mut Figures) {
        for (name, value) in
            [("points", self.points), ("hit", self.hit), ("lost", self.lost), ("dup", self.dup), ("over", self.over)]
        {
            figures.note(name, value);
        }
        figures.note("exits", format!("{:?}", self.exits));
    }
}

/// How it may end: by itself, in good time (who waits for it sees to that), and saying what, where and why.
fn judge(what: &str, fault: &Fault, once: bool, hit: bool, ended: &Ended) {
    let said = &ended.stderr;
    assert!(!said.contains("panicked") && !said.contains("bug of haul"), "{what}: {said}");
    let Some(code) = ended.status.code() else { panic!("{what}: {:?}: {said}", ended.status) };
    // Before a run has begun there is nothing in memory that would be worth a wait.
    let begun = !said.contains("failed to begin the run") && !said.contains("failed to open the database");
    if !hit || once && begun && fault.once == Once::Outlasted {
        assert_eq!(code, 0, "{what}: {said}");
    }
    if code != 0 {
        assert_eq!(code, 1, "{what}: {said}");
        assert!(said.contains("error: ") && said.contains("jobs.db"), "{what}: it says what failed, and where: {said}");
    }
    if hit && !once && fault.file == "jobs.db-wal" && fault.call != "pread64" && fault.call != "openat" {
        let word = if fault.error == "ENOSPC" { "is full" } else { "the disk failed" };
        assert!(code == 1 && said.contains(word), "{what}: exit {code}, no `{word}`: {said}");
    }
}
