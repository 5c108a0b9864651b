//! A server in trouble is left alone and probed; one that tells what it has left is believed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::bench::Bench;
use crate::server::{Answer, Asked, Script, Server};

/// Answers 503 to the first so many requests.
fn in_trouble(first: u64) -> Server {
    let served = AtomicU64::new(0);
    Server::start(Script::new(move |_: &Asked| match served.fetch_add(1, Ordering::Relaxed) {
        nth if nth < first => Answer::status(503),
        _ => Answer::json("1"),
    }))
}

// Seen failing without the probes: six of sixteen jobs had no attempt left.
#[test]
fn a_server_in_trouble_is_probed_and_its_jobs_lose_no_attempts_by_it() {
    for rate in [&["--rate", "500/s"][..], &[]] {
        let server = in_trouble(18);
        let bench = Bench::with_jobs(&server, 16);
        let args = [&["run", "-c", "16", "--max-attempts", "3", "--backoff", "1ms..2ms"], rate].concat();
        let ended = bench.run(&args).exits(0);
        assert_eq!(server.total(), 18 + 16, "{}", ended.stderr);
        let arrivals = server.arrivals();
        // The first 16 at once or nearly so, then two probes, a second and two seconds after what went before.
        let waits: Vec<_> = arrivals[15..19].windows(2).map(|two| two[1].at_ns - two[0].at_ns).collect();
        assert!(waits[0] >= 900_000_000 && waits[1] >= 1_900_000_000 && waits[2] >= 3_800_000_000, "{waits:?}");
        assert_eq!(bench.number("SELECT count(*) FROM attempts WHERE error_type = '503'"), 18);
        assert_eq!(bench.number("SELECT max(failures) FROM jobs"), 1, "what a probe finds is not held against its job");
        bench.check_clean(16, &server);
    }
}

// Seen failing with the headers not read: 40 requests within the first second.
#[test]
fn what_the_server_says_is_left_is_not_exceeded() {
    let windows = AtomicU64::new(0);
    let server = Server::start(Script::new(move |_: &Asked| {
        // Ten in a window of two seconds that begins with the first of them.
        let nth = windows.fetch_add(1, Ordering::Relaxed) % 10;
        Answer::json("1").header("ratelimit", &format!("\"ten\";r={};t=2", 9 - nth))
    }));
    let bench = Bench::with_jobs(&server, 25);
    bench.run(&["run", "--rate", "100/s"]).exits(0);
    let arrivals = server.arrivals();
    assert_eq!(arrivals.len(), 25);
    for at in [10, 20] {
        let wait = Duration::from_nanos(arrivals[at].at_ns - arrivals[at - 1].at_ns);
        assert!(wait >= Duration::from_millis(1_900), "the {at}th came after {wait:?}");
    }
}
