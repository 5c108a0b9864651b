//! Answers that a seed has damaged: in bits, in lines, in numbers, in places, and in how they arrive. One run meets ten thousand of
//! them, or with `HAUL_TORTURE=long` a million; `HAUL_FUZZ_CASES` and `HAUL_FUZZ_SEED` say other numbers.

use std::io;
use std::time::Duration;

use haul::clock::{Clock, Micros, micros, span};

use super::row::{GRACE, MOST_KIB, peak_kib};
use super::wire::{Hostile, Wire};
use crate::random_numbers::Random;
use crate::resume::bench::{Bench, card, setting};

const TIMEOUT: Duration = Duration::from_millis(400);

/// `[1,2,3,4]` packed by gzip.
const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\x8b6\xd41\xd21\xd61\x89\x05\0\xd8\x99\xceg\x09\0\0\0";

/// Answers in which nothing is wrong. None speaks of its limits: a run believes that, and would wait.
fn valid(random: &mut Random) -> Vec<u8> {
    let text = |text: &str| text.as_bytes().to_vec();
    match random.below(9) {
        0 | 1 => text("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n[1,2,3,4]"),
        2 => text(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n[1,2\r\n5;x=\"y\"\r\n,3,4]\r\n0\r\nx-t: 1\r\n\r\n",
        ),
        3 => [&b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 29\r\n\r\n"[..], GZIP].concat(),
        4 => text("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"a\":[1,{\"b\":null}]}"),
        5 => text(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: <x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        ),
        6 => text(
            "HTTP/1.1 404 Not Found\r\ndate: Mon, 23 Nov 2026 10:00:00 GMT\r\nretry-after: 5\r\ncontent-length: 4\r\n\r\ngone",
        ),
        7 => text("HTTP/1.1 302 Found\r\nlocation: /3\r\ncontent-length: 0\r\n\r\n"),
        _ => text("HTTP/1.1 204 No Content\r\nserver: x\r\n\r\n"),
    }
}

/// What goes wrong in numbers, lines and words.
const NUMBERS: [&str; 10] =
    ["0", "-1", "2147483648", "9223372036854775808", "18446744073709551616", "1e9", "0x10", " 1", "", "99999999999999"];
const LINES: [&str; 16] = [
    "content-length: 9",
    "content-length: 10485761",
    "transfer-encoding: chunked",
    "transfer-encoding: gzip, chunked",
    "transfer-encoding: identity",
    "content-encoding: gzip",
    "content-encoding: br",
    "content-encoding: zstd",
    "content-encoding: deflate, gzip",
    "connection: close, keep-alive",
    "upgrade: h2c",
    "trailer: x",
    "location: http://[::1/%zz",
    " folded: line",
    "x",
    ": none",
];

/// A place in it, its end included.
fn place(bytes: &[u8], random: &mut Random) -> usize {
    random.below(bytes.len() + 1)
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = place(bytes, random);
    let end = (at + random.below(16)).min(bytes.len());
    match random.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 => drop(bytes.drain(at..end)),
        2 => drop(bytes.splice(at..at, (0..random.below(24)).map(|_| random.below(256) as u8))),
        3 => {
            let again = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, again));
        }
        4 => bytes.truncate(at),
        5 => {
            let from = bytes[at..].iter().position(u8::is_ascii_digit).map_or(at, |digit| at + digit);
            let to = bytes[from..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |end| from + end);
            let number = NUMBERS[random.below(NUMBERS.len())].bytes();
            drop(bytes.splice(from..to, number));
        }
        6 => {
            // Behind some end of a line.
            let from = bytes[at..].windows(2).position(|two| two == b"\r\n").map_or(at, |end| at + end + 2);
            let line = format!("{}\r\n", LINES[random.below(LINES.len())]);
            drop(bytes.splice(from..from, line.into_bytes()));
        }
        7 => bytes.retain(|byte| *byte != b'\r'),
        _ => *bytes = (0..random.below(400)).map(|_| random.below(256) as u8).collect(),
    }
}

/// What is sent to the job of this seed, and how.
fn serve(seed: u64, wire: &mut Wire) -> io::Result<bool> {
    let mut random = Random::new(seed ^ wire.key.parse::<u64>().unwrap_or(0).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut bytes = valid(&mut random);
    // Two of five are whole: a server that only ever fails would be left alone for a while.
    let whole = random.percent(40);
    if !whole {
        for _ in 0..=random.below(3) {
            damage(&mut bytes, &mut random);
        }
    }
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let n = if random.percent(80) { rest.len() } else { 1 + random.below(rest.len()) };
        wire.send(&rest[..n])?;
        rest = &rest[n..];
    }
    match random.below(100) {
        _ if whole && !bytes.ends_with(b"}]}") => Ok(true),
        0..3 => wire.hang(),
        3..8 => wire.reset(),
        8..12 => Ok(true),
        _ => Ok(false),
    }
}

// Seen failing with a probe (`Trouble`) waited for that had ended in noise: the run hung for ever, 2,824 of 10,000 done.
#[test]
fn whatever_a_server_answers_every_job_has_one_end_in_time_and_memory() {
    let long = std::env::var("HAUL_TORTURE").is_ok_and(|size| size == "long");
    let cases = setting("HAUL_FUZZ_CASES", if long { 1_000_000 } else { 10_000 });
    let seed = setting("HAUL_FUZZ_SEED", 1);
    let server = Hostile::start(move |wire| serve(seed, wire));
    let bench = Bench::empty();
    for first in (0..cases).step_by(10_000) {
        let keys: Vec<_> = (first..cases.min(first + 10_000)).map(|n| n.to_string()).collect();
        bench.import_at(&format!("http://{}", server.address()), &keys);
    }
    let clock = Clock::start();
    let began_us = clock.now_us();
    let timeout = format!("{}ms", TIMEOUT.as_millis());
    let flags =
        ["run", "--timeout", &timeout, "--max-attempts", "1", "--max-failures", "9000000", "--max-redirects", "2"];
    let mut run = bench.start(&flags);
    let id = run.id();
    let mut kib = 0;
    // In a debug build on a busy machine some hundred a second.
    let most_us = micros(Duration::from_secs(60) + Duration::from_millis(20) * cases as u32);
    while run.runs() {
        kib = peak_kib(id).unwrap_or(kib);
        assert!(clock.now_us() - began_us < most_us, "seed {seed}: it hangs: {}", run.said());
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = run.wait().exits(3);
    let took = span(clock.now_us() - began_us);
    assert!(!ended.stderr.contains("panicked"), "seed {seed}: {}", ended.stderr);

    let number = |sql| bench.number(sql);
    assert_eq!(number("SELECT count(*) FROM jobs WHERE state IN ('succeeded', 'failed')"), cases as i64, "seed {seed}");
    let succeeded = number("SELECT count(*) FROM jobs WHERE state = 'succeeded'");
    assert_eq!(succeeded, number("SELECT count(*) FROM results"), "seed {seed}");
    let longest = span(number("SELECT max(coalesce(fetch_us, 0)) FROM attempts"));
    let late =
        "SELECT max(finished_at_us - started_at_us) FROM jobs JOIN attempts ON job_id = id AND attempt = attempts";
    let ends = span(number(late));
    let kinds: Vec<(String, i64)> =
        bench.rows("SELECT coalesce(error_type, '-') AS kind, count(*) FROM jobs GROUP BY kind ORDER BY 2 DESC");
    let slow: Micros = number("SELECT count(*) FROM attempts WHERE error_type = 'timeout'");
    card(&format!(
        "fuzz: {cases} answers of seed {seed} in {took:.1?}, {} MiB; longest answer {longest:?}, longest end {ends:?}, {slow} \
         timeouts; {kinds:?}",
        kib >> 10
    ));
    // Between a redirect and what follows it lies a turn of the run, which the timeout does not count.
    assert!(longest < TIMEOUT + 3 * GRACE, "seed {seed}: {longest:?}");
    assert!(ends < TIMEOUT + 5 * GRACE, "seed {seed}: an end after {ends:?}");
    assert!(kib < MOST_KIB, "seed {seed}: {kib} KiB");
    assert!(succeeded > cases as i64 / 4 && kinds.len() > 6, "it damages too much, or too little: {kinds:?}");
}
