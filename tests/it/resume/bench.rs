//! A database in a folder of its own, the program on it, and waiting for conditions.

use std::cell::Cell;
use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use haul::clock::{Clock, Micros, SECOND_US};
use haul::request::Request;
use haul::settings::Durability;
use haul::store::sqlite::SqliteStore;
use haul::store::{Chunk, NewJob, OnConflict, Store};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{Connection, FromRow};
use tempfile::TempDir;

use crate::checker::Finished;
use crate::server::{Arrival, Server};

/// Nothing here takes this long on the slowest machine; what does, hangs.
const PATIENCE_US: Micros = 60 * SECOND_US;

/// A folder with a database that the program works on.
pub(crate) struct Bench {
    folder: TempDir,
    begun: Cell<u32>,
}

impl Bench {
    /// A folder without a database.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), begun: Cell::new(0) }
    }

    /// A database with so many jobs for this server; their keys are `0000`, `0001`, ..
    pub(crate) fn with_jobs(server: &Server, jobs: usize) -> Self {
        let keys: Vec<_> = (0..jobs).map(|n| format!("{n:04}")).collect();
        Self::with_keys(server, &keys)
    }

    /// A database with a job for each of these keys.
    pub(crate) fn with_keys<K: AsRef<str>>(server: &Server, keys: &[K]) -> Self {
        let bench = Self::empty();
        bench.import(server, keys);
        bench
    }

    /// Adds a job for each of these keys, as another process would.
    pub(crate) fn import<K: AsRef<str>>(&self, server: &Server, keys: &[K]) {
        self.import_at(&server.url(), keys);
    }

    /// The same, for a server that is reached by this URL.
    pub(crate) fn import_at<K: AsRef<str>>(&self, root: &str, keys: &[K]) {
        let job = |(line, key): (u64, &K)| {
            let (method, url) = ("GET".to_owned(), format!("{root}/{}", key.as_ref()));
            let request = Request { method, url, ..Request::default() };
            NewJob { key: key.as_ref().to_owned(), line, request, on_conflict: OnConflict::Reject }
        };
        let jobs = (1..).zip(keys).map(job).collect();
        done(async {
            let store = SqliteStore::open(&self.db(), Durability::PowerLoss, true).await.expect("a database");
            let import = store.begin_import("test", None, 1).await.expect("an import");
            store.import(import, &Chunk { jobs, rejects: Vec::new() }, 1).await.expect("the jobs");
            store.close().await.expect("closed");
        });
    }

    /// Where the database is, or would be.
    pub(crate) fn db(&self) -> PathBuf {
        self.folder.path().join("jobs.db")
    }

    /// Whether there is a file of this name in the folder.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    /// The last to have it open has closed it. To be asked before anything is read: a reader makes these files anew.
    pub(crate) fn closed(&self) -> bool {
        !self.has("jobs.db-wal") && !self.has("jobs.db-shm")
    }

    /// Starts the program on the database, with these arguments.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
        command.arg("--db").arg(self.db()).args(args);
        self.spawn(command)
    }

    /// Starts a program in the folder; what it says goes into files there.
    pub(crate) fn spawn(&self, mut command: Command) -> Running {
        let nth = self.begun.replace(self.begun.get() + 1);
        let said = |stream| self.folder.path().join(format!("{nth}.{stream}"));
        let (stdout, stderr) = (said("stdout"), said("stderr"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HAUL_")) {
            if name != CHILD {
                command.env_remove(name);
            }
        }
        let child = command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).expect("a file"))
            .stderr(File::create(&stderr).expect("a file"))
            .spawn()
            .expect("a process");
        Running { child, stdout, stderr }
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.start(args).wait()
    }

    /// Rows of the database, read while others may have it open.
    pub(crate) fn rows<T>(&self, sql: &'static str) -> Vec<T>
    where
        T: for<'row> FromRow<'row, SqliteRow> + Send + Unpin,
    {
        Self::rows_of(&self.db(), sql)
    }

    /// Rows of this database.
    pub(crate) fn rows_of<T>(database: &Path, sql: &'static str) -> Vec<T>
    where
        T: for<'row> FromRow<'row, SqliteRow> + Send + Unpin,
    {
        done(async {
            let options = SqliteConnectOptions::new().filename(database).read_only(true);
            let mut reader = SqliteConnection::connect_with(&options).await.expect("a database");
            let rows = sqlx::query_as(sql).fetch_all(&mut reader).await.expect("rows");
            reader.close().await.expect("closed");
            rows
        })
    }

    /// One number of the database.
    pub(crate) fn number(&self, sql: &'static str) -> i64 {
        let rows: Vec<(i64,)> = self.rows(sql);
        let [(number,)] = rows[..] else { panic!("not one row: {rows:?}") };
        number
    }

    /// The checker's numbers: jobs lost of so many, double results, requests that nothing asked for.
    pub(crate) fn check(&self, jobs: usize, arrivals: &[Arrival]) -> Checked {
        done(async {
            let mut finished = Finished::open(&self.db()).await;
            Checked {
                lost: finished.lost(jobs as u64).await,
                dup: finished.dup().await,
                leased: finished.leased().await,
                resent: finished.resent(arrivals).await,
            }
        })
    }

    /// Every job is done, once, and nothing was sent without need.
    pub(crate) fn check_clean(&self, jobs: usize, server: &Server) {
        let clean = Checked { lost: 0, dup: 0, leased: 0, resent: 0 };
        assert_eq!(self.check(jobs, &server.arrivals()), clean);
    }
}

/// What the checker found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) lost: u64,
    pub(crate) dup: u64,
    pub(crate) leased: u64,
    pub(crate) resent: u64,
}

/// Names the database to a child that is this test binary again.
pub(crate) const CHILD: &str = "HAUL_TEST_CHILD";

/// The program, running. Killed where a test forgets it.
pub(crate) struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    /// SIGKILL; returns when the process is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("its end");
    }

    /// Sends a signal: `INT`, `TERM`, `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("the program `kill`").success(), "the process is gone");
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// What it has said on stderr so far.
    pub(crate) fn said(&self) -> String {
        text(&self.stderr)
    }

    /// Waits until it has said this.
    pub(crate) fn says(&self, words: &str) {
        until(&format!("it says `{words}`"), || self.said().contains(words));
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let mut status = None;
        until("the process ends", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        let status = status.expect("an end");
        Ended { status, stdout: text(&self.stdout), stderr: text(&self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error here is a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// It ended with this exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).expect("what it said")).into_owned()
}

/// Drives a future to its end, on this thread.
pub(crate) fn done<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Waits for a condition, and fails where it does not come.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let clock = Clock::start();
    let ends_us = clock.now_us() + PATIENCE_US;
    while !condition() {
        assert!(clock.now_us() < ends_us, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The wall clock in microseconds at a time of the server's log.
pub(crate) fn wall_us(server: &Server, at_ns: u64) -> Micros {
    let (now_us, now_ns) = (Clock::start().now_us(), server.now_ns());
    now_us - (now_ns - at_ns) as Micros / 1_000
}

/// Shows figures of a test to who asks for them with `--nocapture`.
#[expect(clippy::print_stdout, reason = "figures of a test are for people")]
pub(crate) fn card(text: &str) {
    println!("{text}");
}

/// A number from the environment, or what is usual.
pub(crate) fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}
