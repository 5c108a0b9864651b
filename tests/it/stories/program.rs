//! A program fills in what is missing while it still finds more; it is stopped, goes on, and corrects what it asked wrongly.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use assert_cmd::Command;
use haul::{Cursor, Failure, Haul, Job, OnConflict, Response, Stop};
use serde::{Deserialize, Serialize};

use crate::resume::bench::until;
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};

const CONCURRENCY: usize = 8;
/// Found before the run begins, while it goes, and after it was stopped.
const FOUND: [std::ops::Range<usize>; 3] = [0..1_000, 1_000..1_500, 1_500..1_600];
/// From this one on, first answers wait for the gate.
const HELD: usize = 600;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Filled {
    n: usize,
    of: String,
}

/// Numbers that end in 13 are gone until it is mended, the shape of those in 31 is odd.
fn server(gate: &Gate, mended: &Arc<AtomicBool>) -> Server {
    let (gate, mended) = (gate.clone(), mended.clone());
    Server::start(Script::new(move |asked: &Asked| {
        let n: usize = asked.key.parse().expect("a number");
        let path = asked.target.rsplit_once('/').expect("a path").0;
        let answer = match n % 100 {
            13 if !mended.load(Ordering::Relaxed) => Answer::status(410),
            31 => Answer::json(format!(r#"{{"number":{n}}}"#)),
            _ => Answer::json(format!(r#"{{"n":{n},"of":{path:?}}}"#)),
        };
        if n >= HELD && asked.nth == 1 { Reply::Held(gate.clone(), Box::new(answer.into())) } else { answer.into() }
    }))
}

fn jobs(url: &str, path: &str, numbers: std::ops::Range<usize>) -> impl Iterator<Item = Job> + use<> {
    let url = format!("{url}/{path}");
    numbers.map(move |n| Job::get(format!("{url}/{n}")).key(n))
}

fn filled(response: &Response, _: &Job) -> Result<Filled, Failure> {
    Ok(response.json()?)
}

/// What a later version of the program knows too.
fn filled_of_both(response: &Response, job: &Job) -> Result<Filled, Failure> {
    #[derive(Deserialize)]
    struct Odd {
        number: usize,
    }
    filled(response, job).or_else(|_| Ok(Filled { n: response.json::<Odd>()?.number, of: "odd".to_owned() }))
}

/// The real program on the same database.
fn haul(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
    let output =
        command.current_dir(folder).env_clear().env("HAUL_DB", "jobs.db").args(args).output().expect("a process");
    (output.status.code().expect("an end"), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// All results behind the cursor, page by page, in the order of their commits.
async fn read(haul: &Haul, mut cursor: Cursor) -> (Vec<(usize, Filled)>, Cursor) {
    let (mut read, mut last_us) = (Vec::new(), 0);
    loop {
        let page = haul.results::<Filled>(cursor).await.expect("a page");
        cursor = page.next.to_string().parse().expect("a cursor is a text");
        if page.results.is_empty() {
            return (read, cursor);
        }
        for result in page.results {
            assert!(result.finished_at_us >= last_us, "in commit order");
            last_us = result.finished_at_us;
            read.push((result.key.parse().expect("a number"), result.output));
        }
    }
}

async fn wait(what: &'static str, server: &Arc<Server>, condition: fn(&Server) -> bool) {
    let server = server.clone();
    tokio::task::spawn_blocking(move || until(what, || condition(&server))).await.expect(what);
}

// Seen failing with a cursor that skips the rest of a commit, and with one that goes by the number of the job within any time.
#[tokio::test]
async fn a_program_fills_in_what_it_finds_and_reads_every_result_once() {
    let (gate, mended) = (Gate::closed(), Arc::new(AtomicBool::new(false)));
    let server = Arc::new(server(&gate, &mended));
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("jobs.db");
    let first = Haul::open(&db).await.expect("a database");
    first.import(jobs(&server.url(), "old", FOUND[0].clone()), OnConflict::Reject).await.expect("an import");

    // It is stopped while it still finds more: what flies lands.
    let stop = Stop::new();
    let runner = first.runner().concurrency(CONCURRENCY).process(filled).stop(stop.clone());
    let running = tokio::spawn(runner.run());
    let (finder, url) = (first.clone(), server.url());
    let finding =
        tokio::spawn(async move { finder.import(jobs(&url, "old", FOUND[1].clone()), OnConflict::Reject).await });
    wait("requests are held", &server, |server| server.unanswered() == CONCURRENCY as u64).await;
    assert_eq!(finding.await.expect("no panic").expect("an import").added, 500);
    stop.drain();
    gate.open();
    let summary = running.await.expect("no panic").expect("an end");
    let sent = HELD + CONCURRENCY;
    assert_eq!((server.total(), summary.exit_code(), summary.abandoned), (sent as u64, 130, 0));
    let bad = |numbers: std::ops::Range<usize>| numbers.filter(|n| [13, 31].contains(&(n % 100))).count();
    assert_eq!((summary.failed, summary.left), (bad(0..sent) as u64, (1_500 - sent) as u64));
    let (mut seen, cursor) = read(&first, Cursor::default()).await;
    assert_eq!(seen.len(), sent - bad(0..sent));
    drop(first);

    // It asked the wrong place: what was not sent yet is asked elsewhere, what was sent stays.
    let second = Haul::open(&db).await.expect("the same database");
    let all = jobs(&server.url(), "new", 0..FOUND[2].end);
    let changed = second.import(all, OnConflict::Update).await.expect("an import");
    assert_eq!((changed.added, changed.updated, changed.rejected), (100, 1_500 - sent as u64, sent as u64));
    let summary = second.runner().process(filled).run().await.expect("an end");
    assert_eq!((summary.interrupted, summary.left, summary.exit_code()), (0, 0, 3));
    assert_eq!(server.total(), 1_600);

    // What failed is sent back by hand; what failed in the program's own code costs no request.
    mended.store(true, Ordering::Relaxed);
    let (code, said) = haul(folder.path(), &["retry", "-y"]);
    assert_eq!((code, said.lines().next()), (0, Some("32 jobs: 16 requests, 16 only processed again")));
    let summary = second.runner().process(filled_of_both).run().await.expect("an end");
    assert_eq!((summary.succeeded, summary.failed, summary.exit_code()), (32, 0, 0));
    assert_eq!(server.total(), 1_616);

    // It goes on reading where it was, and has each result once.
    seen.extend(read(&second, cursor).await.0);
    let numbers: BTreeSet<_> = seen.iter().map(|(n, _)| *n).collect();
    assert_eq!((seen.len(), numbers.len()), (1_600, 1_600), "each once");
    for (n, filled) in &seen {
        let of = if n % 100 == 31 {
            "odd"
        } else if *n < sent {
            "/old"
        } else {
            "/new"
        };
        assert_eq!((filled.n, filled.of.as_str()), (*n, of));
    }
    assert!(read(&second, Cursor::default()).await.0 == seen, "read again, it is the same");
}
