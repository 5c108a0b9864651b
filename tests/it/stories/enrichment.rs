//! A table of people is enriched, row by row; half-way the machine dies, some people are unknown, and the address changes.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{read, write};
use crate::checker::leases_at_kill;
use crate::resume::bench::{Bench, done, until};
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};

const PEOPLE: usize = 400;
const CONCURRENCY: usize = 16;
/// From this one on, first answers wait for the gate.
const HELD: usize = 200;

fn unknown(n: usize) -> bool {
    n % 50 == 7
}

fn busy_once(n: usize) -> bool {
    n < HELD && n % 20 == 3
}

fn name(n: usize) -> String {
    match n % 3 {
        0 => format!("Müller, {n}"),
        1 => format!("\"Bär\" & {n}"),
        _ => format!("two\nlines {n}"),
    }
}

/// 400 people, one without an id, and one who stands in it twice.
fn table() -> String {
    let mut text = "id,name\n".to_owned();
    for n in 0..PEOPLE {
        writeln!(text, "{n},\"{}\"", name(n).replace('"', "\"\"")).expect("a string takes it");
        if n == 100 {
            text += ",nobody\n";
        }
        if n == 300 {
            writeln!(text, "{n},\"{}\"", name(n).replace('"', "\"\"")).expect("a string takes it");
        }
    }
    text
}

fn server(gate: &Gate, mended: &Arc<AtomicBool>) -> Server {
    let (gate, mended) = (gate.clone(), mended.clone());
    Server::start(Script::new(move |asked: &Asked| {
        let n: usize = asked.key.parse().expect("a number");
        let answer = if unknown(n) && !mended.load(Ordering::Relaxed) {
            Answer::status(404)
        } else if busy_once(n) && asked.nth == 1 {
            Answer::status(503)
        } else {
            Answer::json(format!(r#"{{"person":{{"age":{n},"from":{:?}}},"noise":[1]}}"#, asked.target))
        };
        if n >= HELD && asked.nth == 1 { Reply::Held(gate.clone(), Box::new(answer.into())) } else { answer.into() }
    }))
}

// Seen failing where a join took an answer from before a rerender for the answer to another question: 300 rows had none.
#[test]
fn a_table_is_enriched_row_by_row_whatever_comes_between() {
    let (gate, mended) = (Gate::closed(), Arc::new(AtomicBool::new(false)));
    let server = server(&gate, &mended);
    let bench = Bench::empty();
    write(&bench, "rows.csv", &table());
    let url = |version: &str| format!("{}/{version}/{{{{ id }}}}?name={{{{ name }}}}", server.url());

    // The machine dies half-way.
    let url_1 = url("v1");
    let how = ["--key", "{{ id }}", "--process", "jq:.person", "--rejected", "bad.jsonl", "-c", "16"];
    let first: Vec<_> =
        ["run", "rows.csv", "--url", &url_1, "--backoff", "1ms..5ms"].iter().chain(&how).copied().collect();
    let run = bench.start(&first);
    until("requests are held", || server.unanswered() == CONCURRENCY as u64);
    run.kill();
    let leased: HashSet<_> = done(leases_at_kill(&bench.db())).into_iter().map(|(key, _)| key).collect();
    let sent_by_then: HashSet<_> = server.arrivals().into_iter().map(|arrival| arrival.key).collect();
    let refused_by_then = (0..HELD).filter(|n| busy_once(*n)).count();
    let bad: serde_json::Value = serde_json::from_str(&read(&bench, "bad.jsonl")).expect("one line");
    assert_eq!((&bad["line"], &bad["text"]), (&136.into(), &",nobody".into()));
    assert!(leased.len() <= CONCURRENCY && leased.is_subset(&sent_by_then), "{leased:?}");
    gate.open();
    bench.run(&["resume", "--limit", "100"]).exits(75);

    // The address changes.
    let (url_2, before) = (url("v2"), server.total());
    let change = ["run", "rows.csv", "--url", &url_2];
    let asked = bench.run(&change).exits(2);
    let costs = "400 jobs: 100 not sent yet, 300 sent or answered; say what becomes of them:\n  --on-change rerender  100 requests";
    assert!(asked.stderr.contains(costs), "{}", asked.stderr);
    assert_eq!(server.total(), before, "a question costs nothing");
    let changed: Vec<_> = change.iter().chain(&["--on-change", "rerender"]).copied().collect();
    let said = bench.run(&changed).exits(3).stderr;
    assert!(said.contains("0 new jobs, 401 known already, 1 rejected"), "{said}");
    assert_eq!(server.total(), before + 100);

    // The people who were unknown are known now.
    let dry = bench.run(&["retry", "--status", "404", "--dry-run"]).exits(0).stdout;
    assert!(dry.starts_with("8 jobs: 8 requests\n"), "{dry}");
    mended.store(true, Ordering::Relaxed);
    bench.run(&["retry", "--status", "404", "-y"]).exits(0);
    bench.run(&["resume"]).exits(0);

    let arrivals = server.arrivals();
    assert_eq!(arrivals.len(), PEOPLE + refused_by_then + leased.len() + 8, "what was leased is sent again, once");
    let checked = bench.check(PEOPLE, &arrivals);
    assert_eq!((checked.lost, checked.dup, checked.leased), (0, 0, 0));
    bench.run(&["export", "--join", "rows.csv", "--format", "csv", "-o", "out.csv"]).exits(65);
    assert_answered(&table(), &read(&bench, "out.csv"));
}

/// Each row of the table, in its order, with what the server says of this person.
fn assert_answered(table: &str, out: &str) {
    let (mut rows, mut answered) =
        (csv::Reader::from_reader(table.as_bytes()), csv::Reader::from_reader(out.as_bytes()));
    let mut of_version = BTreeMap::new();
    let mut answers = answered.records();
    for row in rows.records() {
        let (row, answer) = (row.expect("a row"), answers.next().expect("as many rows").expect("a row"));
        let cell = |n: usize| answer.get(n).expect("a cell");
        assert_eq!([&row[0], &row[1]], [cell(0), cell(1)]);
        if row[0].is_empty() {
            assert_eq!(cell(2), "rejected");
            continue;
        }
        assert_eq!((cell(2), cell(3), cell(7)), ("succeeded", "200", &row[0]));
        *of_version.entry(cell(8)[..4].to_owned()).or_insert(0) += 1;
    }
    assert!(answers.next().is_none(), "no row more");
    assert_eq!(of_version, BTreeMap::from([("/v1/".to_owned(), 300), ("/v2/".to_owned(), 101)]));
}
