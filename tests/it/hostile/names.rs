//! Names that lead nowhere.

use std::net::UdpSocket;
use std::process::Command;

use crate::resume::bench::{Bench, card};

/// Where the server of names listens: on loopback, where nobody else is.
const AT: &str = "127.0.9.53";

/// Answers every question: `missing..` is no name (NXDOMAIN), all others fail (SERVFAIL). `None` where it may not listen.
fn names() -> Option<()> {
    let socket = UdpSocket::bind((AT, 53)).ok()?;
    std::thread::spawn(move || {
        let mut question = [0; 1500];
        while let Ok((n, from)) = socket.recv_from(&mut question) {
            let missing = question[..n].windows(7).any(|word| word == b"missing");
            question[2] |= 0x80; // an answer
            question[3] = 0x80 | if missing { 3 } else { 2 };
            question[6..12].fill(0); // with nothing in it
            _ = socket.send_to(&question[..n], from); // who asked may have gone
        }
    });
    Some(())
}

/// The program, in a world of its own in which names are asked of [`AT`]. `None` where the system does not permit that.
fn in_a_world_of_its_own(bench: &Bench, args: &str) -> Option<Command> {
    let resolv = bench.db().with_file_name("resolv.conf");
    std::fs::write(&resolv, format!("nameserver {AT}\noptions timeout:1 attempts:1\n")).expect("a file");
    let world = format!("mount --bind {} /etc/resolv.conf", resolv.display());
    let mut shell = Command::new("unshare");
    shell.args(["-m", "sh", "-c"]);
    if !Command::new("unshare").args(["-m", "sh", "-c", &world]).output().is_ok_and(|made| made.status.success()) {
        return None;
    }
    let haul = env!("CARGO_BIN_EXE_haul");
    shell.arg(format!("{world} && exec {haul} --db {} {args}", bench.db().display()));
    Some(shell)
}

// Seen failing without `is_no_name`: the missing name was asked for four times.
#[test]
fn a_name_that_does_not_exist_is_asked_for_twice_and_one_that_cannot_be_looked_up_as_often_as_any() {
    let bench = Bench::empty();
    bench.import_at("http://missing.example.test", &["a"]);
    bench.import_at("http://silent.example.test", &["b"]);
    let run = in_a_world_of_its_own(&bench, "run --max-attempts 4 --backoff 1ms..2ms --timeout 5s");
    let Some((run, ())) = run.zip(names()) else {
        card("N1 was not tried: it needs root, and port 53 of a loopback address");
        return;
    };
    bench.spawn(run).wait().exits(3);
    let ends: Vec<(String, String, i64, String)> =
        bench.rows("SELECT key, error_type, attempts, error_message FROM jobs ORDER BY key");
    let [(_, missing, twice, words), (_, silent, often, other)] = &ends[..] else { panic!("two jobs: {ends:?}") };
    for (fault, kind, tries, words) in
        [("N1 no such name (NXDOMAIN)", missing, twice, words), ("N1 no answer (SERVFAIL)", silent, often, other)]
    {
        card(&format!("{fault:<58} {kind:<15} {tries} tries   {words}"));
    }
    assert_eq!((missing.as_str(), *twice), ("dns", 2), "{words}");
    assert_eq!((silent.as_str(), *often), ("dns", 4), "{other}");
}
