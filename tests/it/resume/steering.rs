//! A run that is paused from another terminal, and one whose limits are changed while it goes.

use std::time::Duration;

use super::bench::{Bench, Running, card, until};
use crate::checker::max_window;
use crate::server::{Answer, Asked, Gate, Model, Reply, Script, Server};

const SECOND_NS: u64 = 1_000_000_000;

/// Answers all at once but for `held`, which waits for the gate.
fn holding(gate: &Gate) -> Server {
    let gate = gate.clone();
    Server::start(Script::new(move |asked: &Asked| match asked.key.as_str() {
        "held" => Reply::Held(gate.clone(), Box::new(Answer::json(r#"{"a":1}"#).into())),
        "bad" => Answer::json("\"no object\"").into(),
        _ => Answer::json(r#"{"a":1}"#).into(),
    }))
}

fn keys(first: &[&str], more: usize) -> Vec<String> {
    first.iter().map(|key| (*key).to_owned()).chain((0..more).map(|n| format!("{n:04}"))).collect()
}

/// Waits for the sentence, and gives the time of the server's clock by then.
fn after(run: &Running, server: &Server, words: &str) -> u64 {
    run.says(words);
    server.now_ns()
}

/// The most arrivals within a second that ends with one since then.
fn most_since(server: &Server, since_ns: u64) -> usize {
    let at_ns: Vec<_> = server.arrivals().iter().map(|arrival| arrival.at_ns).collect();
    let within = |end: &u64| at_ns.iter().filter(|at| **at <= *end && *end < **at + SECOND_NS).count();
    at_ns.iter().filter(|at| **at >= since_ns).map(within).max().unwrap_or(0)
}

// Seen failing with `Drain::hold` that holds nothing.
#[test]
fn a_paused_run_sends_nothing_lands_and_processes_what_it_has_and_goes_on_when_told() {
    let gate = Gate::closed();
    let server = holding(&gate);
    let bench = Bench::with_keys(&server, &keys(&["held", "bad"], 40));
    let ended = bench.run(&["pause"]).exits(4);
    assert!(ended.stderr.contains("there is nothing to pause\n  `haul --db "), "{}", ended.stderr);
    let run = bench.start(&["run", "--rate", "20/s", "--process", "jq:.a"]);
    until("some are done", || bench.number("SELECT count(*) FROM jobs WHERE state = 'succeeded'") >= 3);
    let ended = bench.run(&["pause"]).exits(0);
    assert!(ended.stdout.contains(" sends nothing more; it lets "), "{}", ended.stdout);
    assert!(ended.stdout.ends_with(" unpause\n"), "{}", ended.stdout);
    run.says("another terminal paused it");
    until("all but one have landed, and no lease waits", || {
        bench.number("SELECT count(*) FROM jobs WHERE run_id IS NOT NULL") == 1
    });
    let total = server.total();
    assert!(total < 42, "{total}");
    bench.run(&["retry", "--yes"]).exits(0);
    until("what is fetched is processed", || {
        bench.number("SELECT count(*) FROM jobs WHERE key = 'bad' AND attempts = 2 AND state = 'failed'") == 1
    });
    let status = bench.run(&["status", "--json"]).exits(0).stdout;
    assert!(status.contains(r#""asked_to": "pause""#), "{status}");
    let status = bench.run(&["status"]).exits(0).stdout;
    assert!(status.contains(", paused: it sends nothing\n") && status.ends_with(" unpause\n"), "{status}");
    assert!(bench.run(&["pause"]).exits(0).stdout.contains(" is paused already\n"));
    gate.open();
    until("the last one has landed", || bench.number("SELECT count(*) FROM jobs WHERE run_id IS NOT NULL") == 0);
    std::thread::sleep(Duration::from_millis(600)); // two looks of the run: it has nothing to wait for but `unpause`
    assert_eq!(server.total(), total, "nothing was sent");
    assert!(bench.run(&["unpause"]).exits(0).stdout.contains(" goes on\n"));
    run.wait().exits(3);
    assert_eq!(server.total(), 42, "each once");
    assert!(max_window(server.arrivals().iter().map(|arrival| arrival.at_ns), SECOND_NS) <= 20);
    bench.check_clean(42, &server);
}

// Seen failing with signals that are not heeded during a pause.
#[test]
fn a_paused_run_stops_at_once_and_the_next_one_begins_unpaused() {
    let server = holding(&Gate::closed());
    let bench = Bench::with_jobs(&server, 60);
    let ends: [(&str, i32); 2] = [("stop", 75), ("INT", 130)];
    for (nth, (how, code)) in ends.into_iter().enumerate() {
        let run = bench.start(&["run", "--rate", "20/s", "--max-wait", "1s"]);
        until("it sends", || server.total() > 10 * nth as u64);
        bench.run(&["pause"]).exits(0);
        run.says("another terminal paused it");
        match how {
            "stop" => drop(bench.run(&["stop"]).exits(0)),
            signal => run.signal(signal),
        }
        run.wait().exits(code);
        let ended = bench.run(&["unpause"]).exits(4);
        assert!(ended.stderr.contains("the next one begins unpaused"), "{}", ended.stderr);
    }
    bench.run(&["resume"]).exits(0);
    bench.check_clean(60, &server);
}

// Seen failing with rings that begin empty.
#[test]
fn a_rate_that_is_lowered_and_raised_while_a_run_goes_holds_from_then_on() {
    let script = Script::new(|_: &Asked| Answer::json("1")).counting(Model::SlidingLog, 40, Duration::from_secs(1));
    let server = Server::start(script.goes_first());
    let bench = Bench::with_jobs(&server, 160);
    let run = bench.start(&["run", "--rate", "40/s", "--rate", "10000/d", "--jitter", "150ms"]);
    until("it goes", || server.total() >= 30);
    let ended = bench.run(&["rate", "5/s"]).exits(0);
    assert!(
        ended.stdout.contains(
            " goes on at 5/s (before: at 40/s + 10000/d); so do those after it
"
        ),
        "{}",
        ended.stdout
    );
    let lowered_ns = after(&run, &server, "another terminal changed the rate: 5/s from now on");
    let total = server.total();
    until("it goes on slowly", || server.total() >= total + 9);
    let slow = most_since(&server, lowered_ns);
    bench.run(&["rate", "40/s,600/m"]).exits(0);
    after(&run, &server, "another terminal changed the rate: 40/s + 600/m from now on");
    let (raised_ns, total) = (server.now_ns(), server.total());
    until("it goes fast", || server.total() >= total + 40);
    let took_s = (server.now_ns() - raised_ns) as f64 / SECOND_NS as f64;
    let refused = server.refused();
    bench.run(&["rate", "none"]).exits(0);
    after(&run, &server, "another terminal changed the rate: no limit from now on");
    let ended = run.wait();
    card(&format!("lowered: {slow} a second at most; raised: 40 requests in {took_s:.2} s; {}", ended.stdout));
    assert_eq!(refused, 0, "before the limit of the server was given up");
    assert_eq!(slow, 5, "the fullest second that ends under the new rate");
    assert!(took_s < 4.0, "{took_s}");
    assert_eq!(bench.number("SELECT count(*) FROM limits"), 0);
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE failures > 0"), 0);
}

// Seen failing without `remember_limits.sql`: the 40/s come back.
#[test]
fn a_rate_outlives_its_run_and_its_windows_a_crash() {
    let server = Server::start(Script::new(|_: &Asked| Answer::json("1")).goes_first());
    let bench = Bench::with_jobs(&server, 60);
    let run = bench.start(&["run", "--rate", "40/s", "--jitter", "150ms"]);
    until("it goes", || server.total() >= 20);
    bench.run(&["rate", "5/s"]).exits(0);
    let lowered_ns = after(&run, &server, "5/s from now on");
    let total = server.total();
    until("it goes on", || server.total() > total);
    run.kill();
    let killed = server.total();
    let run = bench.start(&["resume"]);
    until("it goes on", || server.total() >= killed + 7);
    assert_eq!(most_since(&server, lowered_ns), 5);
    // Where no limit holds nothing is written down; what was sent counts all the same.
    bench.run(&["rate", "none"]).exits(0);
    run.says("no limit from now on");
    run.wait().exits(0);
    let ended = bench.run(&["rate", "7/s"]).exits(0);
    assert!(ended.stdout.contains(": the next one goes at 7/s (before: without a limit)\n"), "{}", ended.stdout);
    bench.import(&server, &["later"]);
    bench.run(&["resume"]).exits(0);
    let names = |of: &'static str| bench.rows::<(String,)>(of);
    assert_eq!(names("SELECT name FROM limits"), [("7/s".to_owned(),)]);
    bench.run(&["resume", "--rate", "9/s"]).exits(0);
    assert_eq!(names("SELECT name FROM limits"), [("9/s".to_owned(),)]);
    let checked = bench.check(61, &server.arrivals());
    assert_eq!((checked.lost, checked.dup, checked.leased), (0, 0, 0));
}

// Seen failing with rings that begin empty.
#[test]
fn the_first_limit_of_a_run_without_one_knows_what_was_sent() {
    let answer = |_: &Asked| Reply::After(Duration::from_millis(30), Box::new(Answer::json("1").into()));
    let server = Server::start(Script::new(answer).goes_first());
    let bench = Bench::with_jobs(&server, 1_000);
    let run = bench.start(&["run", "-c", "4"]);
    until("it goes", || server.total() >= 20);
    bench.run(&["rate", "5/s"]).exits(0);
    let limited_ns = after(&run, &server, "5/s from now on");
    let total = server.total();
    until("it goes on", || server.total() >= total + 7);
    assert_eq!(most_since(&server, limited_ns + SECOND_NS / 5), 5);
    bench.run(&["stop"]).exits(0);
    run.wait().exits(75);
    bench.run(&["rate", "none"]).exits(0);
    bench.run(&["resume"]).exits(0);
    bench.check_clean(1_000, &server);
}

// Seen failing without `remember_intended_limits.sql`: the run goes without a limit.
#[test]
fn a_rate_that_is_given_before_the_first_run_is_that_of_the_first_run() {
    let server = Server::start(Script::new(|_: &Asked| Answer::json("1")));
    let bench = Bench::with_jobs(&server, 3);
    bench.run(&["rate", "600/m", "50/s", "50/s"]).exits(0);
    let ended = bench.run(&["resume"]).exits(0);
    assert!(ended.stdout.contains("(limit 50/s + 600/m)"), "{}", ended.stdout);
}
