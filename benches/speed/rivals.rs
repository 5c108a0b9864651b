//! haul, and what else there is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::spent::{self, Spent};
use crate::{AT_ONCE, JOBS};

/// What takes part, and on how many jobs: what is a hundred times as slow is tried on fewer.
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    pub(crate) jobs: usize,
    run: fn(&Course) -> Spent,
}

/// The server, and a folder for what is written.
pub(crate) struct Course {
    pub(crate) url: String,
    pub(crate) folder: PathBuf,
}

impl Course {
    /// haul's database.
    pub(crate) fn db(&self) -> PathBuf {
        self.folder.join("jobs.db")
    }
}

/// The yardstick: a load generator, which keeps nothing.
pub(crate) const YARDSTICK: &str = "oha";
pub(crate) const HAUL: &str = "haul";
pub(crate) const SCRIPT: &str = "the Python script";
pub(crate) const APALIS: &str = "apalis-sqlite";

/// All whose programs are here. `python` is one that has aiohttp.
pub(crate) fn rivals() -> Vec<Rival> {
    let all = [
        (YARDSTICK, JOBS, "oha --version", oha as fn(&Course) -> Spent),
        ("wrk", JOBS, "sh -c 'command -v wrk'", wrk),
        (HAUL, JOBS, "true", haul),
        (SCRIPT, JOBS, "$PYTHON -c 'import aiohttp'", script),
        (APALIS, JOBS, "test -x \"$APALIS\"", apalis),
        ("GNU parallel + curl", 1_000, "parallel --version && curl --version", parallel),
    ];
    let here = |test: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", test]).env("PYTHON", python()).stdout(Stdio::null()).stderr(Stdio::null());
        shell.status().is_ok_and(|status| status.success())
    };
    let present = all.into_iter().filter(|(_, _, test, _)| here(test));
    present.map(|(name, jobs, _, run)| Rival { name, jobs, run }).collect()
}

impl Rival {
    pub(crate) fn run(&self, course: &Course) -> Spent {
        (self.run)(course)
    }
}

fn oha(course: &Course) -> Spent {
    let mut command = Command::new("oha");
    command.args(["--no-tui", "-n", &JOBS.to_string(), "-c", &AT_ONCE.to_string(), &course.url]);
    spent::run(&mut command)
}

/// It counts seconds, not requests: the same number of requests is reckoned from its rate.
fn wrk(course: &Course) -> Spent {
    const SECONDS: i64 = 2;
    let said = course.folder.join("wrk.txt");
    let line = format!("exec wrk -t1 -c{AT_ONCE} -d{SECONDS}s {} > {}", course.url, said.display());
    let mut command = Command::new("sh");
    let spent = spent::run(command.args(["-c", &line]));
    let said = std::fs::read_to_string(said).expect("what wrk said");
    let requests = said.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse::<i64>().ok());
    let share = |us: i64| us * JOBS as i64 / requests.expect("the number of requests").max(1);
    Spent { wall_us: share(SECONDS * 1_000_000), cpu_us: share(spent.cpu_us), ..spent }
}

fn haul(course: &Course) -> Spent {
    let jobs = JOBS.to_string();
    remove(&course.db());
    own(&["import", &path(&course.db()), &course.url, &jobs]);
    own(&["drain", &path(&course.db()), &jobs, &AT_ONCE.to_string()])
}

fn script(course: &Course) -> Spent {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/speed/script.py");
    let mut command = Command::new(python());
    spent::run(command.args([script, &course.url, &JOBS.to_string(), &AT_ONCE.to_string()]))
}

/// A program of the user's that pushes so many tasks into a database and works them off; it sends nothing.
fn apalis(course: &Course) -> Spent {
    let db = course.folder.join("apalis.db");
    remove(&db);
    let mut command = Command::new(std::env::var_os("APALIS").expect("tested before"));
    spent::run(command.arg(db).arg(JOBS.to_string()))
}

fn parallel(course: &Course) -> Spent {
    let (log, out) = (course.folder.join("joblog"), course.folder.join("answers"));
    let line = format!(
        "seq 1000 | parallel -j {AT_ONCE} --joblog {} --results {} curl -s {}/{{}} > {}.all",
        log.display(),
        out.display(),
        course.url,
        out.display()
    );
    let mut command = Command::new("sh");
    let spent = spent::run(command.args(["-c", &line]));
    let _ = (std::fs::remove_file(log), std::fs::remove_dir_all(out)); // the next round makes them anew
    spent
}

/// This program in another role.
pub(crate) fn own(args: &[&str]) -> Spent {
    spent::run(Command::new(std::env::current_exe().expect("this program")).args(args))
}

fn python() -> std::ffi::OsString {
    std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into())
}

pub(crate) fn path(path: &Path) -> String {
    path.to_str().expect("a path of a temporary folder").to_owned()
}

/// A database, and what lies beside it.
pub(crate) fn remove(db: &Path) {
    for beside in ["", "-wal", "-shm", ".lock"] {
        let _ = std::fs::remove_file(format!("{}{beside}", db.display())); // it may not be there
    }
}
