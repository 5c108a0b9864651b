//! A run sees what another process does to its database.

use super::bench::{Bench, until};
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};

// Seen to fail with the look at the database taken out of `Drain::claim_until_done`: `late` then never arrives.
#[test]
fn jobs_added_by_another_process_are_seen_while_a_run_waits() {
    let gate = Gate::closed();
    let held = gate.clone();
    let server = Server::start(Script::new(move |asked: &Asked| match asked.key.as_str() {
        "held" => Reply::Held(held.clone(), Box::new(Answer::json("1").into())),
        _ => Answer::json("1").into(),
    }));
    let bench = Bench::with_keys(&server, &["held"]);
    let run = bench.start(&["run"]);
    until("its only job is held", || server.unanswered() == 1);
    bench.import(&server, &["late", "later"]);
    until("the new jobs arrive", || server.total() == 3);
    gate.open();
    run.wait().exits(0);
    bench.check_clean(3, &server);
}
