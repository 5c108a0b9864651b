//! 14: many jobs: memory, the write-ahead log and the time of a commit stay what they are with few.

use std::fs;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::resume::bench::{Bench, done, until};
use crate::row::{Figures, Row};
use crate::server::{Answer, Asked, Script, Server};
use crate::trial::sound;

/// Seen failing where memory is first looked at after 2,000 jobs, while the caches still fill: 35 MB, then 45 MB.
pub(crate) const ROW: Row = Row { name: "14", what: "scale", run };

/// Memory is looked at when so many percent are done, the page cache of 16 MB among them, and at the end: it may have grown by so
/// many percent.
const WARM: u64 = 40;
const GROWS: u64 = 20;
const LARGE_LOG: u64 = 256 << 20;

fn run(figures: &mut Figures) {
    long_reader(figures);
    many_jobs(figures);
}

fn many_jobs(figures: &mut Figures) {
    let jobs = figures.many("jobs", "HAUL_TORTURE_JOBS", 100_000, 10_000_000);
    let server = Server::start(Script::ok().without_log());
    let bench = Bench::empty();
    let url = format!("{}/{{{{ id }}}}", server.url());
    let rows: String = std::iter::once("id\n".to_owned()).chain((0..jobs).map(|n| format!("{n}\n"))).collect();
    fs::write(bench.db().with_file_name("rows.csv"), rows).expect("the input");
    bench.run(&["import", "rows.csv", "--url", &url]).exits(0);
    let mut run = bench.start(&["-vv", "run", "-c", "64", "--progress", "none"]);
    let (mut warm_kb, mut most_kb, mut most_log) = (0, 0, 0);
    // No deadline for the whole, which depends on the machine; but it must not stand still.
    while run.runs() {
        let before = server.total();
        let id = run.id();
        until("it goes on", || server.total() >= before + 1_000 || server.total() >= jobs);
        if let Some(kb) = peak_kb(id) {
            most_kb = most_kb.max(kb);
            if server.total() >= jobs * WARM / 100 && warm_kb == 0 {
                warm_kb = kb;
            }
        }
        most_log = most_log.max(log_bytes(&bench.db()));
        if server.total() >= jobs {
            break;
        }
    }
    let ended = run.wait().exits(0);
    let mut took_us: Vec<u64> = ended.stderr.lines().filter_map(took).collect();
    took_us.sort_unstable();
    assert!(took_us.len() > 100, "commits are told of");
    let percentile = |percent: usize| took_us[(took_us.len() - 1) * percent / 100] as f64 / 1e3;
    figures.note("peak_kb_warm", warm_kb);
    figures.note("peak_kb", most_kb);
    figures.note("log_mb", most_log >> 20);
    figures.note("commits", took_us.len());
    figures.note("commit_p50_ms", percentile(50));
    figures.note("commit_p99_ms", percentile(99));
    assert_eq!(bench.number("SELECT count(*) FROM results"), jobs as i64, "each has its result");
    assert_eq!(server.total(), jobs, "each was asked for once");
    assert!(warm_kb > 0 && most_kb * 100 <= warm_kb * (100 + GROWS), "memory grows: {warm_kb} kB, then {most_kb} kB");
    assert!(most_log < LARGE_LOG, "the log grows: {most_log}");
}

/// A reader that stays for the whole run keeps the log from being emptied: it grows, that is said once, and all goes on.
fn long_reader(figures: &mut Figures) {
    const LARGE: usize = 280;
    let answer = |_: &Asked| Answer::json(format!("\"{}\"", "x".repeat(1_000_000)));
    let server = Server::start(Script::new(answer).without_log());
    let bench = Bench::with_jobs(&server, LARGE);
    let log_bytes = done(async {
        let options = SqliteConnectOptions::new().filename(bench.db()).read_only(true);
        let mut reader: SqliteConnection = options.connect().await.expect("a database");
        let mut tx = reader.begin().await.expect("a reader");
        let _: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs").fetch_one(&mut *tx).await.expect("a snapshot");
        let ended = bench.run(&["run", "-c", "4", "--process", "jq:length", "--timeout", "60s"]).exits(0);
        let said = "warning: the write-ahead log has grown to ";
        assert_eq!(ended.stderr.matches(said).count(), 1, "told once: {}", ended.stderr);
        log_bytes(&bench.db())
    });
    assert!(log_bytes > LARGE_LOG, "it had grown: {log_bytes}");
    sound(&bench.db());
    assert_eq!(bench.number("SELECT count(*) FROM results"), LARGE as i64);
    figures.note("log_mb_beside_a_reader", log_bytes >> 20);
}

/// How large the write-ahead log is.
pub(crate) fn log_bytes(database: &Path) -> u64 {
    let mut wal = database.as_os_str().to_owned();
    wal.push("-wal");
    fs::metadata(wal).map_or(0, |found| found.len())
}

/// The most memory that a process ever had.
pub(crate) fn peak_kb(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB").parse().ok()
}

/// `.. durable so far .. took_us=1234`
fn took(line: &str) -> Option<u64> {
    line.contains("durable so far").then(|| line.split("took_us=").nth(1)?.trim().parse().ok())?
}
