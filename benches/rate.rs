//! The truth about the rate limit, as a table: the real program against servers that count as servers do.
//!
//! `cargo bench --bench rate` takes about twelve minutes, `.. -- --quick` two to three; any other argument keeps the rows whose name
//! contains it: `.. -- 20/s`. The server runs in this process, which does nothing else while the program runs in its own; where the
//! system permits it (`renice`), its thread goes first, so that the times are those of arriving. What each figure is computed of is said
//! in `tests/it/rate/figures.rs`.

#![expect(clippy::print_stdout, reason = "a table is for people")]

use std::process::ExitCode;
use std::time::Duration;

// The server, the checker and the trials of the integration tests.
#[path = "../tests/it"]
#[expect(dead_code, unused_imports, reason = "shared with tests that need more of it")]
mod it {
    pub(crate) mod checker;
    pub(crate) mod rate;
    pub(crate) mod server;
    pub(crate) mod resume {
        pub(crate) mod bench;
    }
}
use it::rate::trial::{Trial, Tried};
use it::rate::{busy, control};
use it::server::{Model, Script, Server};
use it::{checker, resume, server};

/// How a row is tried.
enum Kind {
    Once,
    /// Killed and started again after so long.
    Restarted(Duration),
    /// Beside the same trial with another rate too; the two are compared.
    BesideWith(&'static str),
}

/// What is required of a row.
#[derive(Clone, Copy)]
struct Required {
    refused: usize,
    /// Most requests in any window, where the model counts windows.
    most: Option<usize>,
    /// Of the allowed rate, in percent.
    share: f64,
    /// The share is that from the start of the process.
    from_start: bool,
    /// All cores must have been busy, or the row shows nothing.
    saturated: bool,
}

impl Required {
    const fn exact(permits: usize, share: f64) -> Self {
        Self { refused: 0, most: Some(permits), share, from_start: false, saturated: false }
    }
}

struct Row {
    name: &'static str,
    trial: Trial,
    kind: Kind,
    required: Required,
}

fn rows(quick: bool) -> Vec<Row> {
    use Model::{Bucket, FixedByClock, SlidingCounter, SlidingLog, Strict};
    let long = Duration::from_secs(if quick { 6 } else { 60 });
    // A pause after a refusal takes a second: in less time than this three of them are more than the share allows.
    let refused = Duration::from_secs(if quick { 20 } else { 60 });
    let short = Duration::from_secs(if quick { 3 } else { 10 });
    let restarts = Duration::from_secs(if quick { 8 } else { 30 });
    let pair = Duration::from_secs(if quick { 8 } else { 25 });
    let row = |name, trial, required| Row { name, trial, kind: Kind::Once, required };
    let few = Required { refused: 3, most: None, ..Required::exact(20, 85.0) };
    let saturated = |permits| Required { saturated: true, ..Required::exact(permits, 97.5) };
    let slow = |latency_ms, way| Trial { latency_ms, way, ..Trial::new("20/s", SlidingLog, long) };
    // Slots for what is claimed ahead, on its way and being committed; for a saturated processor all jobs of the row.
    let burning = |filter| ["--process", filter, "--concurrency", "10000"];
    vec![
        row("20/s, fixed window", Trial::new("20/s", FixedByClock, long), Required::exact(20, 99.0)),
        row("20/s, sliding log", Trial::new("20/s", SlidingLog, long), Required::exact(20, 99.0)),
        row("20/s, bucket", Trial::new("20/s", Bucket, long), Required::exact(20, 99.0)),
        row("20/s, answers in 60-140 ms", slow((60, 140), None), Required::exact(20, 97.5)),
        row("20/s, sliding counter", Trial::new("20/s", SlidingCounter, refused), few),
        row("20/s, strict spacing", Trial::new("20/s", Strict, refused), few),
        row("200/s", Trial::new("200/s", SlidingLog, short), Required::exact(200, 99.0)),
        row(
            "2000/s",
            Trial::new("2000/s", SlidingLog, short).args(&["--concurrency", "512"]),
            Required::exact(2_000, 99.0),
        ),
        row(
            "10000/s",
            Trial::new("10000/s", SlidingLog, short).args(&["--concurrency", "2048"]),
            Required::exact(10_000, 97.0),
        ),
        row(
            "20/s, both cores saturated",
            Trial::new("20/s", SlidingLog, long).args(&burning("jq:[range(2000000)] | add")),
            saturated(20),
        ),
        row(
            "2000/s, both cores saturated",
            Trial::new("2000/s", SlidingLog, short.min(Duration::from_secs(5)))
                .args(&burning("jq:[range(20000)] | add")),
            saturated(2_000),
        ),
        row("20/s, 0-15 ms on the way", slow((50, 50), Some(Duration::from_millis(15))), Required::exact(20, 97.0)),
        Row {
            name: "20/s, killed every 350 ms",
            trial: Trial::new("20/s", SlidingLog, restarts),
            kind: Kind::Restarted(Duration::from_millis(350)),
            required: Required { from_start: true, ..Required::exact(20, 70.0) },
        },
        Row {
            name: "20/s + 10000/d",
            trial: Trial::new("20/s", SlidingLog, pair),
            kind: Kind::BesideWith("10000/d"),
            required: Required::exact(20, 99.0),
        },
    ]
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if !args.iter().any(|arg| arg == "--bench") {
        println!("a measurement: run it with `cargo bench --bench rate`");
        return ExitCode::SUCCESS;
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    let only: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    print_head();
    let mut missed = 0;
    for row in rows(quick).into_iter().filter(|row| wanted(row.name)) {
        missed += usize::from(!try_and_print(&row));
    }
    if wanted(CONTROL) {
        missed += usize::from(!control_and_print());
    }
    println!("{}", if missed == 0 { "all passed".to_owned() } else { format!("{missed} missed") });
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_head() {
    println!(
        "share: (admitted - 1) / (last - first) against N/W; from start: admitted / (last - start of the process)"
    );
    println!(
        "gap p99: what the gap between two arrivals exceeds W/N by, in 99 of 100 cases at most; required in brackets"
    );
    println!(
        "spread: from sent, as the program noted it, to arrived, at most; the limit promises what it does for J = 20 ms"
    );
    println!("cores busy: of the machine, with whatever, then those that the program had; databases are in $TMPDIR");
    print_line([
        "row",
        "arrived",
        "refused",
        "most in W",
        "share %",
        "from start %",
        "gap p99 ms",
        "spread ms",
        "cores busy; it",
        "load",
        "",
    ]);
}

fn print_line(cells: [&str; 11]) {
    let widths = [30, 15, 22, 17, 15, 13, 10, 9, 15, 5, 0];
    let line: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    println!("{}", line.join(" | "));
}

/// Whether the row passed.
fn try_and_print(row: &Row) -> bool {
    match row.kind {
        Kind::Once => print_row(row, row.name, &row.trial.run()),
        Kind::Restarted(each) => print_row(row, row.name, &row.trial.run_restarted(each)),
        Kind::BesideWith(also) => {
            let with = row.trial.clone().args(&["--rate", also]);
            let (alone, both) = std::thread::scope(|scope| {
                let alone = scope.spawn(|| row.trial.run());
                let both = with.run();
                (alone.join().expect("a trial that does not panic"), both)
            });
            let ratio = alone.took_ns as f64 / both.took_ns.max(1) as f64;
            let passed = print_row(row, "20/s, beside it", &alone) & print_row(row, row.name, &both);
            println!("{} is {:.2} % as fast as 20/s alone [>= 99]", row.name, ratio * 100.0);
            passed && ratio >= 0.99
        }
    }
}

fn print_row(row: &Row, name: &str, tried: &Tried) -> bool {
    let (figures, required) = (&tried.figures, row.required);
    let (cores, of_cores) = tried.busy;
    let arrived = figures.arrived as f64 / tried.planned as f64 * 100.0;
    let restarted = matches!(row.kind, Kind::Restarted(_));
    let share = if required.from_start { figures.share_from_start } else { figures.share } * 100.0;
    // It learns from the first, whenever that comes: no other after the first half.
    let learned = figures.refused <= 1 || figures.last_refused_ns.is_none_or(|ns| ns < tried.took_ns / 2);
    let mut wrong = Vec::new();
    let mut require = |kept: bool, what| {
        if !kept {
            wrong.push(what)
        }
    };
    require(restarted || arrived >= 95.0, "does not count: less than 95 % arrived");
    require(!required.saturated || cores >= 0.95 * of_cores, "does not count: not saturated");
    require(figures.refused <= required.refused && learned, "MISSED: refused");
    require(required.most.is_none_or(|most| figures.most <= most), "MISSED: most in W");
    require(share >= required.share, "MISSED: share");
    let ask = |asked: bool, text: String| if asked { text } else { String::new() };
    let last = figures.last_refused_ns.map_or(String::new(), |ns| format!(" to {:.1} s", ns as f64 / 1e9));
    print_line([
        name,
        &format!("{} ({arrived:.0} %)", figures.arrived),
        &format!("{}{last} [<= {}]", figures.refused, required.refused),
        &format!("{}{}", figures.most, required.most.map_or(String::new(), |most| format!(" [<= {most}]"))),
        &format!("{:.2}{}", figures.share * 100.0, ask(!required.from_start, format!(" [>= {}]", required.share))),
        &format!(
            "{:.1}{}",
            figures.share_from_start * 100.0,
            ask(required.from_start, format!(" [>= {}]", required.share))
        ),
        &format!("{:.1}", figures.gap_p99_ns as f64 / 1e6),
        &format!("{:.1}", tried.spread_ns as f64 / 1e6),
        &format!("{cores:.2} of {of_cores}; {:.2}", tried.had),
        &format!("{:.1}", busy::load()),
        &if wrong.is_empty() { "pass".to_owned() } else { wrong.join(", ") },
    ]);
    wrong.is_empty()
}

const CONTROL: &str = "20/s, control: governor's default quota";

/// Whether the server caught what is known to be wrong.
fn control_and_print() -> bool {
    let server = Server::start(Script::ok().counting(Model::SlidingLog, 20, Duration::from_secs(1)).goes_first());
    resume::bench::done(control::send_by_default_quota(&server.url(), 100));
    let most = checker::max_window(server.arrivals().iter().map(|arrival| arrival.at_ns), 1_000_000_000);
    let caught = server.refused() > 0 && most > 20;
    let verdict = if caught { "pass: caught" } else { "MISSED: not caught" };
    println!("{CONTROL}: {} of 100 refused, {most} in a second: {verdict}", server.refused());
    caught
}
