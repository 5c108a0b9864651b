//! Signals: the first lets what flies land, the second leaves.

use super::bench::{Bench, until};
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};

const JOBS: usize = 20;

/// Eight of twenty jobs are held by the server; then the run is asked to stop, and says that it will.
///
/// Seen to fail without the look at `Phase::Drain` in `Drain::claim_until_done` all twenty arrive; with `Stop::leave` for
/// the first signal the eight are sent again.
fn lands(signal: &str, code: i32) {
    let gate = Gate::closed();
    let held = gate.clone();
    let server = Server::start(Script::new(move |_| Reply::Held(held.clone(), Box::new(Answer::json("1").into()))));
    let bench = Bench::with_jobs(&server, JOBS);
    let run = bench.start(&["run", "-c", "8"]);
    until("eight requests are held", || server.unanswered() == 8);
    run.signal(signal);
    run.says("stopping: 8 in flight may land");
    gate.open();
    run.wait().exits(code);

    assert!(bench.closed(), "the database is closed");
    assert_eq!(server.total(), 8, "nothing more was claimed");
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE run_id IS NOT NULL"), 0, "no lease is left");
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE state = 'succeeded'"), 8, "what flew has landed");
    assert_eq!(bench.number("SELECT count(*) FROM runs WHERE outcome = 'interrupted'"), 1);
    bench.run(&["resume"]).exits(0);
    assert_eq!(server.total(), JOBS as u64, "nothing was sent again");
    bench.check_clean(JOBS, &server);
}

#[test]
fn an_interrupt_lets_what_flies_land_and_claims_nothing_more() {
    lands("INT", 130);
}

#[test]
fn a_termination_lets_what_flies_land_and_claims_nothing_more() {
    lands("TERM", 143);
}

#[test]
fn a_hangup_lets_what_flies_land_and_claims_nothing_more() {
    lands("HUP", 129);
}

// Seen to fail with `Stop::drain` for the second signal too: it then waits for 91 s.
#[test]
fn a_second_interrupt_leaves_at_once_and_costs_no_more_than_a_crash() {
    let server = Server::start(Script::new(|asked: &Asked| match asked.nth {
        1 => Reply::Hang,
        _ => Answer::json("1").into(),
    }));
    let bench = Bench::with_jobs(&server, 8);
    let run = bench.start(&["run", "-c", "8"]);
    until("eight requests hang", || server.unanswered() == 8);
    run.signal("INT");
    run.says("stopping: 8 in flight may land");
    run.signal("INT");
    let left = run.wait().exits(130);
    assert!(left.stdout.contains("8 requests in flight; the next run sends them again"), "{}", left.stdout);
    assert!(left.stdout.contains("resume"), "it says how to go on: {}", left.stdout);
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE run_id IS NOT NULL"), 8);

    bench.run(&["resume"]).exits(0);
    assert_eq!(server.total(), 16, "each of the eight once more");
    assert_eq!(bench.number("SELECT count(*) FROM attempts WHERE error_type = 'interrupted'"), 8);
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE state = 'succeeded' AND failures = 0"), 8);
}

#[test]
fn leases_that_wait_for_the_rate_limit_are_given_back_at_a_stop() {
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, 50);
    // A permit every 20 ms, claimed up to 100 ms ahead: some wait at any moment.
    let run = bench.start(&["run", "--rate", "50/s"]);
    until("it is under way", || server.total() >= 5);
    run.signal("INT");
    run.wait().exits(130);
    let sent = server.total();
    assert!(sent < 50);
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE run_id IS NOT NULL"), 0, "no lease is left");
    let spent = bench.number("SELECT sum(permits) FROM spends");
    assert!(spent.unsigned_abs() <= sent, "{spent} permits are spent for {sent} requests");
    bench.run(&["resume"]).exits(0);
    bench.check_clean(50, &server);
    assert_eq!(server.total(), 50);
}
