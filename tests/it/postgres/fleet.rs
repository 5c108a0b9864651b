//! Many workers over one database: the real program, one process each.
//!
//! `HAUL_TEST_FLEET_S=60` kills one of four every 2 s for so long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use haul::clock::{Clock, SECOND_US};
use sqlx::{PgConnection, Row};

use super::{Database, Server as Postgres, say};
use crate::checker::{arrivals_per_key, max_window};
use crate::server::{Script, Server};

const SECOND_NS: u64 = 1_000_000_000;

/// A database with jobs, a server that answers them, and workers.
pub(super) struct Fleet {
    folder: tempfile::TempDir,
    pub(super) database: Database,
    pub(super) server: Server,
    jobs: usize,
}

impl Fleet {
    pub(super) async fn new(database: Database, jobs: usize, latency: Duration) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let fleet = Self { folder, database, server: Server::start(Script::ok().latency(latency)), jobs };
        let url = fleet.server.url();
        let urls: String = (0..jobs).map(|k| format!("{url}/j?k={k}\n")).collect();
        std::fs::write(fleet.folder.path().join("urls.txt"), urls).expect("an input");
        let imported = fleet.haul(&["import", "urls.txt"]).output().expect("haul");
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
        fleet
    }

    pub(super) fn haul(&self, args: &[&str]) -> Command {
        haul(self.folder.path(), self.database.url(), args)
    }

    /// One more worker.
    pub(super) fn join(&self, rate: &str) -> Child {
        self.begin(self.haul(&["resume", "--rate", rate, "-c", "64"]))
    }

    /// One whose clock is set so: `+10m`.
    pub(super) fn join_at(&self, clock: &str, rate: &str) -> Child {
        let haul = self.haul(&["resume", "--rate", rate, "-c", "64"]);
        let mut worker = Command::new("faketime");
        worker.current_dir(self.folder.path()).env_remove("HAUL_DB").args(["-f", clock]);
        worker.arg(haul.get_program()).args(haul.get_args());
        self.begin(worker)
    }

    fn begin(&self, mut worker: Command) -> Child {
        let said = std::fs::File::options().create(true).append(true).open(self.said()).expect("a log");
        worker.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().expect("a worker")
    }

    /// What the workers say.
    fn said(&self) -> PathBuf {
        self.folder.path().join("said.txt")
    }

    /// Waits for the ends of workers: all is done.
    pub(super) async fn end(&self, workers: Vec<Child>) {
        for worker in workers {
            let code = ended(worker).await;
            assert_eq!(code, Some(0), "{}", std::fs::read_to_string(self.said()).unwrap_or_default());
        }
    }

    /// The same where any of them may have been taken for dead meanwhile: that one stops, and leaves the rest to the others.
    pub(super) async fn end_or_stop(&self, workers: Vec<Child>) {
        for worker in workers {
            let code = ended(worker).await;
            assert!(
                matches!(code, Some(0 | 75)),
                "{code:?}: {}",
                std::fs::read_to_string(self.said()).unwrap_or_default()
            );
        }
    }

    /// All are done, each once but for those that a dead worker held; and no window held more than that.
    pub(super) async fn check(&self, most: usize, resent_at_most: u64) -> u64 {
        let mut conn = self.database.connect().await;
        let one = async |conn: &mut PgConnection, sql: &'static str| -> i64 {
            sqlx::query(sql).fetch_one(conn).await.expect(sql).get(0)
        };
        let jobs = i64::try_from(self.jobs).expect("few");
        let succeeded = one(&mut conn, "SELECT count(*) FROM jobs WHERE state = 'succeeded' AND run_id IS NULL").await;
        assert_eq!(succeeded, jobs, "lost");
        assert_eq!(one(&mut conn, "SELECT count(*) FROM results").await, jobs, "results");
        assert_eq!(one(&mut conn, "SELECT n FROM counts WHERE state = 'succeeded' AND error_type = ''").await, jobs);
        assert_eq!(one(&mut conn, "SELECT coalesce(sum(n), 0)::bigint FROM counts").await, jobs, "counts");
        let arrivals = self.server.arrivals();
        let largest = max_window(arrivals.iter().map(|arrival| arrival.at_ns), SECOND_NS);
        assert!(largest <= most, "{largest} in a second, of {most}");
        let per_key: BTreeMap<_, _> = arrivals_per_key(&arrivals);
        assert_eq!(per_key.len(), self.jobs);
        let resent = per_key.values().map(|n| n - 1).sum();
        assert!(resent <= resent_at_most, "{resent} sent again, of at most {resent_at_most}");
        say(&format!("largest window {largest} of {most}, {resent} of at most {resent_at_most} sent again"));
        resent
    }

    /// Jobs that this process holds.
    pub(super) async fn held_by(&self, pid: u32) -> i64 {
        let held = "SELECT count(*) FROM jobs JOIN runs ON runs.id = jobs.run_id WHERE runs.pid = $1";
        let mut conn = self.database.connect().await;
        sqlx::query(held).bind(i64::from(pid)).fetch_one(&mut conn).await.expect(held).get(0)
    }

    pub(super) async fn left(&self) -> i64 {
        let left = "SELECT count(*) FROM jobs WHERE finished_at_us IS NULL";
        let mut conn = self.database.connect().await;
        sqlx::query(left).fetch_one(&mut conn).await.expect(left).get(0)
    }
}

fn haul(folder: &Path, db: &str, args: &[&str]) -> Command {
    let mut haul = Command::new(env!("CARGO_BIN_EXE_haul"));
    haul.current_dir(folder).env_remove("HAUL_DB").args(["--db", db]).args(args);
    haul
}

pub(super) async fn nap(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Waits for the end of a process without standing in the way of others.
pub(super) async fn ended(mut worker: Child) -> Option<i32> {
    tokio::task::spawn_blocking(move || worker.wait().expect("a worker").code()).await.expect("its end")
}

#[tokio::test]
async fn many_workers_are_one_table_and_one_limit_and_what_a_dead_one_held_goes_on() {
    let Some(database) = Database::create().await else { return };
    let fleet = Fleet::new(database, 600, Duration::from_millis(200)).await;
    let mut workers: Vec<_> = (0..3).map(|_| fleet.join("40/s")).collect();
    let mut victim = workers.remove(0);
    // It is killed with work in its hands.
    let mut held = 0;
    while held == 0 {
        nap(200).await;
        held = fleet.held_by(victim.id()).await;
    }
    victim.kill().expect("killed");
    victim.wait().expect("its end");
    let held = fleet.held_by(victim.id()).await;
    fleet.end(workers).await;
    fleet.check(40, held.unsigned_abs()).await;
}

/// How long the trials last that are left out of an ordinary test run.
pub(super) fn seconds() -> Option<i64> {
    std::env::var("HAUL_TEST_FLEET_S").ok()?.parse().ok()
}

/// The kill loop. Without `HAUL_TEST_FLEET_S` it is left out: it takes as long as that says.
#[tokio::test]
async fn a_fleet_of_which_one_dies_every_two_seconds_loses_nothing() {
    let Some(seconds) = seconds() else { return };
    let Some(database) = Database::create().await else { return };
    let jobs = usize::try_from(seconds * 90).expect("few");
    let fleet = Fleet::new(database, jobs, Duration::from_millis(200)).await;
    let clock = Clock::start();
    let began_us = clock.now_us();
    let mut workers: Vec<_> = (0..4).map(|_| fleet.join("200/s")).collect();
    let (mut resent, mut kills) = (0, 0);
    let mut dead = Vec::new();
    while clock.now_us() < began_us + seconds * SECOND_US && fleet.left().await > 0 {
        nap(2_000).await;
        let mut victim = workers.remove(0);
        victim.kill().expect("killed");
        victim.wait().expect("its end");
        resent += fleet.held_by(victim.id()).await;
        kills += 1;
        dead.push((victim.id(), clock.now_us()));
        workers.push(fleet.join("200/s"));
        taken_up(&fleet, &mut dead, clock.now_us()).await;
    }
    fleet.end(workers).await;
    taken_up(&fleet, &mut dead, clock.now_us()).await;
    let took_s = (clock.now_us() - began_us) as f64 / SECOND_US as f64;
    say(&format!("{kills} kills, {jobs} jobs in {took_s:.1} s: {:.0}/s", jobs as f64 / took_s));
    fleet.check(200, resent.unsigned_abs()).await;
    assert!(jobs as f64 / took_s >= 0.7 * 200.0, "{:.0}/s", jobs as f64 / took_s);
}

// Seen failing with a look for runs without an end alone: the other worker waited for ever for those jobs.
#[tokio::test]
async fn what_a_run_still_held_that_ended_in_an_error_goes_on() {
    let Some(database) = Database::create().await else { return };
    let fleet = Fleet::new(database, 200, Duration::from_millis(300)).await;
    let [mut erring, other] = [(); 2].map(|()| fleet.join("50/s"));
    while fleet.held_by(erring.id()).await == 0 {
        nap(50).await;
    }
    erring.kill().expect("killed");
    let held = fleet.held_by(erring.id()).await;
    // As if it had noted its end, and only that.
    let sql = "UPDATE runs SET ended_at_us = heartbeat_at_us, outcome = 'error' WHERE pid = $1";
    let mut conn = fleet.database.connect().await;
    sqlx::query(sql).bind(i64::from(erring.id())).execute(&mut conn).await.expect(sql);
    let _ = erring.wait();
    tokio::time::timeout(Duration::from_secs(90), fleet.end(vec![other])).await.expect("it is not waited for");
    fleet.check(50, held.unsigned_abs() + 2).await;
}

/// What dead ones held is held by others within 20 s. Looked at every two seconds or so.
async fn taken_up(fleet: &Fleet, dead: &mut Vec<(u32, i64)>, now_us: i64) {
    let mut still = Vec::new();
    for (pid, died_us) in std::mem::take(dead) {
        if fleet.held_by(pid).await > 0 {
            assert!(now_us - died_us < 22 * SECOND_US, "what pid {pid} held is not taken up");
            still.push((pid, died_us));
        }
    }
    *dead = still;
}

/// The server of the database ends, gently and not, and its connections are cut: workers wait, and nothing is lost.
#[tokio::test]
async fn workers_outlast_restarts_of_the_server_and_cut_connections() {
    let Some(postgres) = tokio::task::spawn_blocking(Postgres::start).await.expect("a server or none") else { return };
    let fleet = Fleet::new(Database::on(&postgres).await, 400, Duration::from_millis(50)).await;
    let workers: Vec<_> = (0..2).map(|_| fleet.join("40/s")).collect();
    for how in ["fast", "immediate"] {
        nap(1_500).await;
        postgres.restart(how);
    }
    for _ in 0..10 {
        let mut conn = fleet.database.connect().await;
        fleet.database.cut(&mut conn).await;
        nap(100).await;
    }
    fleet.end(workers).await;
    fleet.check(40, 0).await;
}
