//! One run at a time on a database.

use super::bench::{Bench, Running, until};
use crate::server::{Answer, Gate, Reply, Script, Server};

/// A server that holds every answer back until its gate opens.
fn holding() -> (Server, Gate) {
    let gate = Gate::closed();
    let held = gate.clone();
    let server = Server::start(Script::new(move |_| Reply::Held(held.clone(), Box::new(Answer::json("1").into()))));
    (server, gate)
}

// Seen to fail without the lock: the second run goes on, and takes the first one's leases for a dead run's.
#[test]
fn a_second_run_is_refused_at_once_told_who_holds_the_database_and_harms_nothing() {
    let (server, gate) = holding();
    let bench = Bench::with_jobs(&server, 4);
    let mut first = bench.start(&["run", "-c", "2"]);
    until("two requests are held", || server.unanswered() == 2);

    for verb in ["run", "resume"] {
        let refused = bench.run(&[verb]).exits(6);
        assert!(refused.stderr.contains(&format!("pid {} on ", first.id())), "{}", refused.stderr);
        assert!(refused.stderr.contains(" since 2"), "{}", refused.stderr);
        assert!(refused.stdout.is_empty(), "{}", refused.stdout);
    }
    assert!(first.runs());
    assert_eq!(bench.number("SELECT count(*) FROM jobs WHERE run_id = 1"), 2, "the leases are where they were");
    gate.open();
    first.wait().exits(0);
    bench.check_clean(4, &server);
    assert_eq!((server.total(), bench.number("SELECT count(*) FROM runs")), (4, 1));
}

// Seen failing with a lock that each removes before it takes it.
#[test]
fn of_ten_that_start_at_once_one_has_the_database_and_nine_are_told() {
    let (server, gate) = holding();
    let bench = Bench::with_jobs(&server, 12);
    let mut all: Vec<_> = (0..10).map(|_| bench.start(&["resume", "-c", "4"])).collect();
    until("nine are refused", || all.iter_mut().map(Running::runs).filter(|runs| !runs).count() == 9);
    gate.open();
    let mut codes: Vec<_> = all.into_iter().map(|run| run.wait().status.code()).collect();
    codes.sort_unstable();
    let expected: Vec<_> = std::iter::once(Some(0)).chain(std::iter::repeat_n(Some(6), 9)).collect();
    assert_eq!(codes, expected);
    bench.check_clean(12, &server);
    assert_eq!((server.total(), bench.number("SELECT count(*) FROM runs")), (12, 1));
}

#[test]
fn the_lock_of_a_killed_run_is_free_at_once() {
    let (server, gate) = holding();
    let bench = Bench::with_jobs(&server, 2);
    let first = bench.start(&["run"]);
    until("two requests are held", || server.unanswered() == 2);
    first.kill();
    gate.open();
    // The file is still there, and still names the dead process: what counts is the lock, and that went with it.
    assert!(bench.has("jobs.db.lock"));
    bench.run(&["resume"]).exits(0);
    assert_eq!(bench.number("SELECT count(*) FROM runs WHERE outcome = 'crashed'"), 1);
}
