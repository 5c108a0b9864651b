//! A database that is worked on by runs that die, and what is true of it whenever one has died, and in the end.

use std::ops::AddAssign;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::checker::{copied, leases_at_kill};
use crate::resume::bench::{Bench, Ended, done};
use crate::resume::lives::{Life, most_in, resent};
use crate::row::Figures;
use crate::server::{Arrival, Server};

const SIGKILL: i32 = 9;

/// A database, the server that its jobs ask, and the lives of the runs on it.
pub(crate) struct Trial {
    pub(crate) bench: Bench,
    pub(crate) server: Server,
    pub(crate) lives: Vec<Life>,
}

/// What is summed up over trials.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) kills: u64,
    pub(crate) leased: u64,
    pub(crate) resent: u64,
    pub(crate) lost: u64,
    pub(crate) dup: u64,
    /// Kills after which more was sent again than was leased.
    pub(crate) over: u64,
    pub(crate) blamed: u64,
    /// Trials in which a window held more than the limit.
    pub(crate) bursts: u64,
}

impl Trial {
    pub(crate) fn new(bench: Bench, server: Server) -> Self {
        Self { bench, server, lives: Vec::new() }
    }

    /// The program on the database, to be told to die.
    pub(crate) fn haul(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
        command.arg("--db").arg(self.bench.db()).args(args);
        command
    }

    /// The program, which is to die at this moment.
    pub(crate) fn haul_failing(&self, args: &[&str], fail: &str) -> Command {
        let mut command = self.haul(args);
        command.env("HAUL_FAIL", fail);
        command
    }

    /// Lets a run live until it dies of SIGKILL; gives its end where it did not.
    pub(crate) fn dies(&mut self, command: Command) -> Result<(), Ended> {
        let began_ns = self.server.now_ns();
        let ended = self.bench.spawn(command).wait();
        if ended.status.signal() != Some(SIGKILL) {
            return Err(ended);
        }
        let killed_ns = self.server.now_ns();
        let exists = self.bench.db().exists();
        let leases = if exists { as_it_died(&self.bench.db()) } else { Vec::new() };
        self.lives.push(Life { began_ns, killed_ns, unanswered: self.server.unanswered(), leases });
        Ok(())
    }

    /// What the checker says of so many jobs, where at most so many may arrive in a window. Arrivals of redirects, whose keys begin
    /// with `hop-`, are no repetitions.
    pub(crate) fn found(&self, jobs: usize, permits: usize, window: Duration) -> Found {
        let all = self.server.arrivals();
        let arrivals: Vec<Arrival> = all.iter().filter(|arrival| !arrival.key.starts_with("hop-")).cloned().collect();
        sound(&self.bench.db());
        let checked = self.bench.check(jobs, &arrivals);
        let blamed = self
            .bench
            .number("SELECT count(*) FROM jobs WHERE error_type IS NOT NULL OR failures > 0 OR state = 'failed'");
        Found {
            kills: self.lives.len() as u64,
            leased: self.lives.iter().map(|life| life.leases.len() as u64).sum(),
            resent: checked.resent,
            lost: checked.lost + checked.leased,
            dup: checked.dup,
            over: self.over(&arrivals),
            blamed: blamed.unsigned_abs(),
            bursts: u64::from(most_in(window, &self.bench, &self.server, &all) > permits),
        }
    }

    /// Kills that cost more than was leased at them. Repetitions that the server asked for are none.
    fn over(&self, arrivals: &[Arrival]) -> u64 {
        let asked_again = |arrival: &&Arrival| arrival.status != Some(429);
        let arrivals: Vec<_> = arrivals.iter().filter(asked_again).cloned().collect();
        let resent = resent(&self.lives, &arrivals);
        resent.iter().zip(&self.lives).filter(|(resent, life)| **resent > life.leases.len()).count() as u64
    }
}

/// The leases that a kill left. What is true of every database is true of this one too, on a copy: the file stays as it is.
fn as_it_died(database: &Path) -> Vec<(String, i64)> {
    let (_aside, copy) = copied(database);
    if tables(&copy) == 0 {
        return Vec::new(); // it died before there was a schema
    }
    sound(&copy);
    done(leases_at_kill(&copy))
}

fn tables(database: &Path) -> i64 {
    number(database, "SELECT count(*) FROM sqlite_schema")
}

fn number(database: &Path, sql: &'static str) -> i64 {
    let rows: Vec<(i64,)> = Bench::rows_of(database, sql);
    rows.first().map_or(0, |row| row.0)
}

/// What is true of every database at every moment between two transactions.
pub(crate) fn sound(database: &Path) {
    let said: Vec<(String,)> = Bench::rows_of(database, "PRAGMA integrity_check");
    assert_eq!(said.first().map(|row| row.0.as_str()), Some("ok"), "the file is sound");
    for (what, sql) in [
        ("a job without its request", "SELECT count(*) FROM jobs WHERE id NOT IN (SELECT job_id FROM requests)"),
        ("a request without its job", "SELECT count(*) FROM requests WHERE job_id NOT IN (SELECT id FROM jobs)"),
        (
            "a state that is counted wrongly",
            "SELECT count(*) FROM (SELECT state, count(*) AS n FROM jobs GROUP BY state) AS found
             LEFT JOIN (SELECT state, sum(n) AS n FROM counts GROUP BY state) AS kept USING (state)
             WHERE found.n IS NOT kept.n",
        ),
        (
            "a job that is counted and not there",
            "SELECT abs((SELECT count(*) FROM jobs) - (SELECT coalesce(sum(n), 0) FROM counts))",
        ),
        (
            "a fetched job without its response",
            "SELECT count(*) FROM jobs WHERE state = 'fetched' AND id NOT IN (SELECT job_id FROM responses)",
        ),
    ] {
        assert_eq!(number(database, sql), 0, "{what}");
    }
}

impl AddAssign for Found {
    fn add_assign(&mut self, more: Self) {
        self.kills += more.kills;
        self.leased += more.leased;
        self.resent += more.resent;
        self.lost += more.lost;
        self.dup += more.dup;
        self.over += more.over;
        self.blamed += more.blamed;
        self.bursts += more.bursts;
    }
}

impl Found {
    pub(crate) fn note(&self, figures: &mut Figures) {
        let Self { kills, leased, resent, lost, dup, over, blamed, bursts } = *self;
        for (name, value) in [
            ("kills", kills),
            ("lost", lost),
            ("dup", dup),
            ("leased", leased),
            ("resent", resent),
            ("over", over),
            ("blamed", blamed),
            ("bursts", bursts),
        ] {
            figures.note(name, value);
        }
    }

    #[track_caller]
    pub(crate) fn judge(&self) {
        let Self { lost, dup, over, blamed, bursts, .. } = *self;
        assert_eq!((lost, dup, over, blamed, bursts), (0, 0, 0, 0, 0), "lost, double, over, blamed, bursts: {self:?}");
    }
}
