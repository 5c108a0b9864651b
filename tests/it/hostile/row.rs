//! A fault, and what must become of the jobs that meet it: one line of the table.

use std::time::Duration;

use haul::clock::{Clock, Micros, micros, span};

use super::wire::Hostile;
use crate::resume::bench::{Bench, card};

/// No job may take longer than its deadline and this: 100 ms, and what a busy machine takes to get to it.
pub(super) const GRACE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 600 } else { 100 });

/// What a run may take beside its requests: to start, to write its database, to wait between tries.
const AROUND: Duration = Duration::from_secs(8);

/// Nothing here takes this long on the slowest machine; what does, hangs.
const PATIENCE: Duration = Duration::from_secs(40);

/// What a run may ever hold in memory.
pub(super) const MOST_KIB: u64 = 200 << 10;

/// What happens, and what must come of it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Which fault of the list it is, and what it is.
    pub(super) fault: &'static str,
    /// Type of the failure; empty where there is none.
    pub(super) kind: &'static str,
    /// How often each job is tried; 0 = that does not matter, for a permit may become void on a busy machine.
    pub(super) tries: i64,
    /// How many jobs meet it.
    pub(super) jobs: usize,
    /// For one request.
    pub(super) timeout: Duration,
    pub(super) flags: &'static [&'static str],
    pub(super) exit: i32,
    /// What the message of the failure says, or the result where there is none.
    pub(super) says: &'static str,
}

impl Row {
    /// One job, which fails for good at once.
    pub(super) fn permanent(fault: &'static str, kind: &'static str, says: &'static str) -> Self {
        Self { fault, kind, tries: 1, jobs: 1, timeout: Duration::from_secs(5), flags: &[], exit: 3, says }
    }

    /// One job, which is tried twice.
    pub(super) fn transient(fault: &'static str, kind: &'static str, says: &'static str) -> Self {
        Self { tries: 2, ..Self::permanent(fault, kind, says) }
    }

    /// One job, which is tried twice, each time until its time is over.
    pub(super) fn timeout(fault: &'static str) -> Self {
        let timeout = Duration::from_millis(500);
        Self { timeout, ..Self::transient(fault, "timeout", "no complete answer within 500ms") }
    }

    /// One job, which succeeds at once with this result.
    pub(super) fn fine(fault: &'static str, result: &'static str) -> Self {
        Self { exit: 0, ..Self::permanent(fault, "", result) }
    }

    pub(super) fn jobs(self, jobs: usize) -> Self {
        Self { jobs, ..self }
    }

    pub(super) fn with(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }

    /// Runs it against this server.
    pub(super) fn meets(self, server: &Hostile) -> Met {
        self.at(&format!("http://{}", server.address()))
    }

    /// Runs it against whatever is reached by this URL.
    pub(super) fn at(self, root: &str) -> Met {
        let bench = Bench::empty();
        let keys: Vec<_> = (0..self.jobs).map(|n| format!("{n}")).collect();
        bench.import_at(root, &keys);
        let timeout = format!("{}ms", self.timeout.as_millis());
        let mut args = vec!["run", "--timeout", &timeout, "--max-attempts", "2", "--backoff", "1ms..2ms"];
        args.extend(self.flags);
        let clock = Clock::start();
        let began_us = clock.now_us();
        let mut run = bench.start(&args);
        let id = run.id();
        let mut kib = 0;
        while run.runs() {
            kib = peak_kib(id).unwrap_or(kib);
            assert!(clock.now_us() < began_us + micros(PATIENCE), "{}: it hangs: {}", self.fault, run.said());
            std::thread::sleep(Duration::from_millis(2));
        }
        let ended = run.wait();
        let took = span(clock.now_us() - began_us);
        let code = ended.status.code();
        assert_eq!(code, Some(self.exit), "{}: {}\n{}", self.fault, ended.stdout, ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}: {}", self.fault, ended.stderr);
        let met = Met { row: self, bench, took, kib };
        met.judged()
    }
}

/// The most memory that a process has had so far.
pub(super) fn peak_kib(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What came of it.
pub(super) struct Met {
    pub(super) row: Row,
    pub(super) bench: Bench,
    took: Duration,
    kib: u64,
}

impl Met {
    /// Holds it against what was expected, and writes the line.
    fn judged(self) -> Self {
        let Self { row, bench, .. } = &self;
        let sql = "SELECT state, coalesce(error_type, ''), attempts, coalesce(error_message, output, '') FROM jobs \
                   LEFT JOIN results ON job_id = jobs.id WHERE state IN ('succeeded', 'failed') OR failures > 0";
        let ends: Vec<(String, String, i64, String)> = bench.rows(sql);
        assert!(!ends.is_empty(), "{}: nothing was tried", row.fault);
        let state = if row.kind.is_empty() { "succeeded" } else { "failed" };
        for (now, kind, tries, says) in &ends {
            let tries = if row.tries == 0 { 0 } else { *tries };
            let end = (now.as_str(), kind.as_str(), tries);
            assert_eq!(end, (state, row.kind, row.tries), "{}: {says}", row.fault);
            assert!(says.contains(row.says), "{}: `{says}` does not say `{}`", row.fault, row.says);
        }
        if matches!(row.exit, 0 | 3) {
            assert_eq!(ends.len(), row.jobs, "{}: each job has an end", row.fault);
        }
        let sql = "SELECT max(fetch_us, 0) FROM attempts WHERE fetch_us IS NOT NULL UNION ALL \
                   SELECT finished_at_us - started_at_us FROM jobs JOIN attempts ON job_id = jobs.id \
                   AND attempt = attempts WHERE finished_at_us IS NOT NULL";
        let lasted: Vec<(Micros,)> = bench.rows(sql);
        let longest = lasted.iter().map(|(us,)| *us).max().unwrap_or(0);
        // The commit of a job waits for that of those before it.
        let most = row.timeout + if row.jobs > 1 { GRACE * 3 } else { GRACE };
        assert!(longest <= micros(most), "{}: a job took {:?}", row.fault, span(longest));
        assert!(self.took <= row.timeout * 2 * row.jobs as u32 + AROUND, "{}: {:?}", row.fault, self.took);
        assert!(self.kib <= MOST_KIB, "{}: {} KiB", row.fault, self.kib);
        self.show(longest, &ends[0].3);
        self
    }

    fn show(&self, longest: Micros, says: &str) {
        let Row { fault, kind, tries, exit, .. } = &self.row;
        let kind = if kind.is_empty() { "-" } else { kind };
        let says: String = says.chars().filter(|c| !c.is_control()).take(70).collect();
        let (took, mib) = (span(longest).as_secs_f64() * 1e3, self.kib >> 10);
        let verdict = match (kind, tries) {
            ("-", _) => "fine",
            (_, 1) => "for good",
            _ => "retried",
        };
        card(&format!("{fault:<58} {kind:<15} {verdict:<8} {exit:>2} {took:>7.0} ms {mib:>4} MiB  {says}"));
    }
}

// The control of the table: what is not as it should be is seen.
#[test]
fn the_table_sees_another_type_another_verdict_other_words_another_exit() {
    let gone = || Row::permanent("control", "404", "404 Not Found: gone");
    let sees = |row: Row| {
        let server = Hostile::start(|wire| wire.answer(404, "", "gone"));
        std::panic::catch_unwind(move || drop(row.meets(&server))).is_err()
    };
    assert!(!sees(gone()));
    for wrong in [
        Row { kind: "500", ..gone() },
        Row { tries: 2, ..gone() },
        Row { says: "found", ..gone() },
        Row { exit: 0, ..gone() },
        Row { kind: "", ..gone() },
    ] {
        assert!(sees(wrong.clone()), "{wrong:?}");
    }
}
