//! Servers that refuse, are overloaded, or fail now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use haul::clock::{Clock, SECOND_US};

use super::row::Row;
use super::wire::Hostile;
use crate::resume::bench::card;

/// Refuses the first request, saying this; answers all others.
fn refuses_once(headers: &str) -> Hostile {
    let headers = headers.to_owned();
    Hostile::start(move |wire| match wire.nth {
        0 => wire.answer(429, &headers, ""),
        _ => wire.answer(200, "", "1"),
    })
}

const DATE: &str = "date: Mon, 23 Nov 2026 10:00:00 GMT\r\n";

// Seen failing with the first of several waits taken, and with a wait beyond all numbers taken for none.
#[test]
fn a_refusal_pauses_the_limit_for_as_long_as_it_says_at_most_an_hour_and_costs_the_job_nothing() {
    for (fault, headers, seconds) in [
        ("N12 429, Retry-After 2", "retry-after: 2\r\n", 2),
        ("N12 429, a date in 2 s", "retry-after: Mon, 23 Nov 2026 10:00:02 GMT\r\n", 2),
        ("N12 429, a date that is past", "retry-after: Mon, 23 Nov 2026 09:00:00 GMT\r\n", 1),
        ("N12 429, negative", "retry-after: -5\r\n", 1),
        ("N12 429, no Retry-After", "", 1),
        ("N12 429, nonsense", "retry-after: soon\r\n", 1),
        ("N12 429, no UTF-8", "retry-after: \u{fe}\r\n", 1),
        ("N12 429, 0", "retry-after: 0\r\n", 1),
        ("N12 429, two of them", "retry-after: 1\r\nretry-after: 2\r\n", 2),
        ("N12 429, 10^12", "retry-after: 1000000000000\r\n", 3_600),
        ("N12 429, 10^30", "retry-after: 1000000000000000000000000000000\r\n", 3_600),
        ("N12 429, a date in 50 years", "retry-after: Mon, 23 Nov 2076 10:00:00 GMT\r\n", 3_600),
    ] {
        let server = refuses_once(&format!("{DATE}{headers}"));
        let began_us = Clock::start().now_us();
        let row = Row { timeout: Duration::from_secs(5), ..Row::fine(fault, "") };
        if seconds < 60 {
            let met = Row { tries: 0, ..row }.with(&["--rate", "100/s"]).meets(&server);
            let waited_us = met.bench.number("SELECT max(started_at_us) - min(started_at_us) FROM attempts");
            assert!((seconds * SECOND_US..(seconds + 3) * SECOND_US).contains(&waited_us), "{fault}: {waited_us} us");
            assert_eq!(met.bench.number("SELECT failures FROM jobs"), 0, "{fault}");
        } else {
            let bench = crate::resume::bench::Bench::empty();
            bench.import_at(&format!("http://{}", server.address()), &["a"]);
            bench.run(&["run", "--rate", "100/s", "--for", "1s"]).exits(75);
            let pause_us = bench.number("SELECT max(paused_until_us) FROM limits") - began_us;
            let most_us = seconds * SECOND_US;
            assert!((most_us - SECOND_US..most_us + 10 * SECOND_US).contains(&pause_us), "{fault}: {pause_us} us");
            assert_eq!(bench.number("SELECT failures FROM jobs"), 0, "{fault}");
            card(&format!("{fault:<58} 429             paused   75 for {} s", pause_us / SECOND_US));
        }
    }
}

// Seen failing with a thousand failures in a row before the server is left alone.
#[test]
fn a_storm_of_refusals_and_overload_costs_no_job() {
    for (fault, status) in [("N13 503 for 2 s", 503), ("N13 502 for 2 s", 502), ("N12 429 for 2 s", 429)] {
        let clock = Clock::start();
        let first_us = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
        let server = Hostile::start(move |wire| {
            let now_us = clock.now_us();
            let began_us =
                first_us.compare_exchange(0, now_us, Ordering::SeqCst, Ordering::SeqCst).unwrap_or_else(|us| us);
            match began_us == 0 || now_us - began_us < 2 * SECOND_US {
                true => wire.answer(status, "", "busy"),
                false => wire.answer(200, "", "1"),
            }
        });
        let bench = crate::resume::bench::Bench::empty();
        let keys: Vec<_> = (0..60).map(|n| n.to_string()).collect();
        bench.import_at(&format!("http://{}", server.address()), &keys);
        bench.run(&["run", "--rate", "200/s", "--backoff", "10ms..50ms"]).exits(0);
        let asked = server.asked();
        assert_eq!(bench.number("SELECT count(*) FROM results"), 60);
        card(&format!("{fault:<58} {status:<15} retried   0 {asked} requests for 60 results"));
        assert!(asked < 60 * 4, "{fault}: {asked} requests");
    }
}

// Seen failing with 500 failing for good.
#[test]
fn whoever_fails_now_and_then_is_asked_again() {
    let server = Hostile::start(|wire| match wire.nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 0xff {
        0..13 => wire.answer(500, "", "oops"), // of 256: 5 %
        _ => wire.answer(200, "", "1"),
    });
    let bench = crate::resume::bench::Bench::empty();
    let keys: Vec<_> = (0..400).map(|n| n.to_string()).collect();
    bench.import_at(&format!("http://{}", server.address()), &keys);
    bench.run(&["run", "--backoff", "1ms..2ms"]).exits(0);
    let (failed, asked) = (server.asked() - 400, server.asked());
    card(&format!("{:<58} 500             retried   0 {asked} requests for 400 results", "N14 5 % random 500"));
    assert!((5..60).contains(&failed), "{failed} failed");
}

// Seen failing with all statuses tried again.
#[test]
fn what_will_not_go_away_is_not_tried_again_and_refused_credentials_end_the_run() {
    for (fault, status, kind) in [
        ("N15 400", 400, "400"),
        ("N15 401", 401, "401"),
        ("N15 403", 403, "403"),
        ("N15 404", 404, "404"),
        ("N15 410", 410, "410"),
        ("N15 422", 422, "422"),
        ("N15 302, which is not followed", 302, "302"),
        ("N15 501 is tried again as any 5xx", 501, "501"),
        ("N15 408", 408, "408"),
    ] {
        let server = Hostile::start(move |wire| wire.answer(status, "location: /elsewhere\r\n", "no"));
        let tries = if matches!(status, 501 | 408) { 2 } else { 1 };
        Row { tries, ..Row::permanent(fault, kind, ": no") }.meets(&server);
    }
    for (fault, kind, status) in [("N15 401, to 100 jobs", "401", 401), ("N15 403, to 100 jobs", "403", 403)] {
        let server = Hostile::start(move |wire| wire.answer(status, "", "no"));
        Row { exit: 5, ..Row::permanent(fault, kind, "") }.jobs(100).with(&["-c", "4"]).meets(&server);
        assert!(server.asked() <= 18, "{}", server.asked());
    }
}

// Seen failing with every answer in time.
#[test]
fn an_answer_after_the_sla_is_kept_and_marked() {
    let server = Hostile::start(|wire| {
        std::thread::sleep(Duration::from_millis(300));
        wire.answer(200, "", "1")
    });
    let met = Row::fine("N20 an answer later than its SLA", "1").with(&["--sla", "100ms"]).meets(&server);
    assert_eq!(met.bench.number("SELECT within_sla FROM attempts"), 0);
}

// Seen failing, among other breaks, with the wait of an allowance not held to its most.
/// Whatever is said of what is left cannot stop a run for good.
#[test]
fn advice_that_is_nonsense_is_no_advice() {
    let nth = AtomicU64::new(0);
    let server = Hostile::start(move |wire| {
        let advice = [
            "ratelimit: \"a\";r=-1;t=99999999999999999999\r\n",
            "x-ratelimit-remaining: 1e400\r\nx-ratelimit-reset: NaN\r\n",
            "ratelimit: ;;;;=,,,=;\"\r\n",
            "x-ratelimit-remaining: \u{0}\r\n",
            "ratelimit-remaining: 5\r\nratelimit-reset: -7\r\n",
        ];
        let nth = nth.fetch_add(1, Ordering::SeqCst) as usize;
        wire.answer(200, &advice[nth % 4].replace('\0', "x"), "1")
    });
    Row { tries: 0, ..Row::fine("N12 advice that is nonsense", "1") }
        .jobs(40)
        .with(&["--rate", "200/s"])
        .meets(&server);
}

// Seen failing with only answers and transient failures taken for the end of a probe: the run waited for ever.
#[test]
fn a_probe_that_tells_nothing_of_the_server_or_leads_elsewhere_is_not_waited_for() {
    for (fault, probe, exit) in [
        ("N13 a probe that is answered with noise", "noise\r\n\r\n", 3),
        ("N13 a probe that is led elsewhere", "HTTP/1.1 302 x\r\nlocation: /0\r\ncontent-length: 0\r\n\r\n", 0),
    ] {
        let server = Hostile::start(move |wire| match wire.nth {
            0..10 => wire.answer(503, "", ""),
            10 => wire.send(probe),
            _ => wire.answer(200, "", "1"),
        });
        let bench = crate::resume::bench::Bench::empty();
        let keys: Vec<_> = (0..10).map(|n| n.to_string()).collect();
        bench.import_at(&format!("http://{}", server.address()), &keys);
        bench.run(&["run", "-c", "10", "--max-redirects", "1"]).exits(exit);
        let failed = bench.number("SELECT count(*) FROM jobs WHERE state = 'failed' AND error_type = 'decode'");
        assert_eq!(failed, i64::from(exit == 3), "{fault}");
        card(&format!("{fault:<58} -               retried   {exit} {} requests", server.asked()));
    }
}
