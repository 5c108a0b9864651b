//! haul beside a load generator and beside what else one might use, in the same minutes on the same machine.
//!
//! `cargo bench --bench speed` takes about ten minutes. All take turns, round after round; a figure is the median of the rounds.
//! The server is a process of its own with one thread; nobody is pinned to a core, and all have the usual priority. Who is
//! not installed is left out: `oha`, `wrk`, GNU `parallel` with `curl`, a Python with aiohttp (another one than `python3` is named by
//! `PYTHON`), and a program on apalis-sqlite that takes a database and a number of tasks (named by `APALIS`).
//! `.. -- scale` measures what ten million jobs cost beside 100,000 instead; `.. -- scale=1000000` makes do with fewer.

#![expect(clippy::print_stdout, reason = "a table is for people")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

mod embedded;
mod filled;
mod rivals;
mod scale;
mod server;
mod spent;

use rivals::{APALIS, Course, HAUL, Rival, SCRIPT, YARDSTICK};
use spent::Spent;

const JOBS: usize = 100_000;
const AT_ONCE: usize = 128;
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<usize>().expect("a number");
    match args[..] {
        ["serve"] => server::serve(),
        ["import", db, url, jobs] => wait_for(embedded::import(db.into(), url.to_owned(), number(jobs))),
        ["drain", db, jobs, at_once] => wait_for(embedded::drain(db.into(), number(jobs), number(at_once))),
        ["fill", db, jobs, done, url] => {
            wait_for(filled::fill(db.into(), number(jobs) as i64, number(done) as i64, url.to_owned()));
        }
        ["work", db, jobs] => wait_for(filled::work(db.into(), number(jobs))),
        _ if !args.contains(&"--bench") => println!("a measurement: run it with `cargo bench --bench speed`"),
        _ => {
            let scale = args.iter().find_map(|arg| Some(arg.strip_prefix("scale")?.trim_start_matches('=')));
            let missed = match scale {
                Some("") => scale::measure(10_000_000),
                Some(jobs) => scale::measure(number(jobs)),
                None => compare(&args),
            };
            return if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    }
    ExitCode::SUCCESS
}

/// On the runtime that the program itself has, and on a worker of it.
fn wait_for(future: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(runtime.spawn(future)).expect("no panic");
}

/// The server of this bench, ended with it.
struct Serving(Child, String);

impl Serving {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        let mut child = command.arg("serve").stdout(Stdio::piped()).spawn().expect("a server");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut port).expect("a port");
        Self(child, format!("http://127.0.0.1:{}", port.trim()))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait()); // it may have ended
    }
}

/// All against all, in turns. Arguments that are no flags keep the rivals whose names contain one of them.
fn compare(args: &[&str]) -> usize {
    let only: Vec<&&str> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let rivals = rivals::rivals();
    let wanted = |rival: &Rival| only.is_empty() || only.iter().any(|part| rival.name.contains(**part));
    let rivals: Vec<_> = rivals.into_iter().filter(wanted).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let server = Serving::start();
    let course = Course { url: server.1.clone(), folder: folder.path().to_owned() };
    let mut rounds: Vec<Vec<Spent>> = vec![Vec::new(); rivals.len()];
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        for (rival, spent) in rivals.iter().zip(&mut rounds) {
            spent.push(rival.run(&course));
            if rival.name == HAUL {
                bytes = std::fs::metadata(course.db()).expect("its database").len() / JOBS as u64;
            }
        }
    }
    let figures: Vec<_> = rivals.iter().zip(&rounds).map(|(rival, spent)| Figures::of(rival, spent)).collect();
    print(&figures, &figures.iter().map(|figures| figures.name).collect::<Vec<_>>());
    judge(&figures, bytes)
}

/// Medians.
struct Figures {
    name: &'static str,
    jobs: usize,
    per_s: f64,
    cpu_us: f64,
    peak_mb: f64,
}

impl Figures {
    fn of(rival: &Rival, spent: &[Spent]) -> Self {
        let median = |of: fn(&Spent) -> f64| {
            let mut all: Vec<_> = spent.iter().map(of).collect();
            all.sort_unstable_by(f64::total_cmp);
            all[all.len() / 2]
        };
        let jobs = rival.jobs as f64;
        Self {
            name: rival.name,
            jobs: rival.jobs,
            per_s: jobs / median(|spent| spent.wall_us as f64) * 1e6,
            cpu_us: median(|spent| spent.cpu_us as f64) / jobs,
            peak_mb: median(|spent| spent.peak_kib as f64) / 1024.0,
        }
    }
}

fn print(figures: &[Figures], names: &[&str]) {
    let haul = figures.iter().find(|figures| figures.name == HAUL);
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    println!("{:<width$} | jobs    | per second | CPU us a job | peak MB | haul is so fast | haul's CPU", "");
    for Figures { name, jobs, per_s, cpu_us, peak_mb } in figures {
        let (fast, cpu) = haul.map_or((f64::NAN, f64::NAN), |haul| (haul.per_s / per_s, haul.cpu_us / cpu_us));
        println!(
            "{name:<width$} | {jobs:<7} | {per_s:>10.0} | {cpu_us:>12.1} | {peak_mb:>7.1} | {fast:>14.2}x | {cpu:>9.2}x"
        );
    }
}

/// What must be reached, told one by one.
#[derive(Default)]
struct Requirements {
    missed: usize,
}

impl Requirements {
    fn require(&mut self, what: &str, is: f64, kept: bool, required: &str) {
        self.missed += usize::from(!kept);
        println!("{what}: {is:.2} [{required}] {}", if kept { "pass" } else { "MISSED" });
    }
}

/// How many requirements are missed.
fn judge(figures: &[Figures], bytes: u64) -> usize {
    let find = |name: &str| figures.iter().find(|figures| figures.name == name);
    let Some(haul) = find(HAUL) else { return 0 };
    let mut required = Requirements::default();
    if let Some(oha) = find(YARDSTICK) {
        let (fast, cpu) = (haul.per_s / oha.per_s, haul.cpu_us / oha.cpu_us);
        required.require("jobs a second to oha's requests", fast, fast >= 0.45, ">= 0.45");
        required.require("CPU of a job to that of oha's request", cpu, cpu <= 3.5, "<= 3.5");
    }
    for (name, least) in [(APALIS, 2.0), (SCRIPT, 12.0)] {
        if let Some(rival) = find(name) {
            let fast = haul.per_s / rival.per_s;
            required.require(&format!("jobs a second to {name}"), fast, fast >= least, &format!(">= {least}"));
        }
    }
    required.require("peak memory, MB", haul.peak_mb, haul.peak_mb <= 64.0, "<= 64");
    required.require("bytes of the database a job", bytes as f64, bytes <= 900, "<= 900");
    required.missed
}
