//! What lies around the requests: how a server counts, what the environment names, how many files there are, and requests that were
//! carried out although nobody heard of it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use super::row::Row;
use super::wire::Hostile;
use crate::checker::arrivals_per_key;
use crate::resume::bench::{Bench, card};
use crate::server::{Answer, Asked, Model, Reply, Script, Server};

#[test]
fn however_a_server_counts_every_job_is_done_and_those_that_count_alike_refuse_none() {
    for (fault, model, most) in [
        ("N17 fixed windows", Model::FixedByClock, 0),
        ("N17 a sliding log", Model::SlidingLog, 0),
        ("N17 a token bucket", Model::Bucket, 0),
        ("N17 a sliding counter", Model::SlidingCounter, 6),
        ("N17 strictly one after the other", Model::Strict, 6),
    ] {
        let window = Duration::from_millis(500);
        let server = Server::start(Script::ok().counting(model, 20, window).goes_first());
        let bench = Bench::with_jobs(&server, 60);
        bench.run(&["run", "--rate", "20/500ms", "--jitter", "150ms"]).exits(0);
        let refused = server.refused();
        card(&format!("{fault:<58} 429             paused    0 {refused} refused of {}", server.total()));
        assert_eq!(bench.number("SELECT count(*) FROM results"), 60, "{fault}");
        assert!(refused <= most, "{fault}: {refused} are refused");
    }
}

#[test]
fn a_proxy_in_the_environment_is_not_used() {
    let proxy = Hostile::start(|wire| wire.answer(200, "", "\"the proxy\""));
    let server = Hostile::start(|wire| wire.answer(200, "", "1"));
    let bench = Bench::empty();
    bench.import_at(&format!("http://{}", server.address()), &["a"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
    command.arg("--db").arg(bench.db()).arg("run");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"] {
        command.env(name, format!("http://{}", proxy.address()));
    }
    bench.spawn(command).wait().exits(0);
    assert_eq!((server.asked(), proxy.asked()), (1, 0));
    card(&format!("{:<58} -               fine      0 the proxy heard nothing", "N19 HTTP_PROXY is set"));
}

#[test]
fn a_request_that_was_carried_out_though_its_answer_was_lost_comes_again_with_its_key() {
    // Carries each key out once, and says so only when it is asked again.
    let server = Server::start(Script::new(|asked: &Asked| -> Reply {
        if asked.nth == 1 { Reply::Hang } else { Answer::json("\"done before\"").into() }
    }));
    let bench = Bench::empty();
    std::fs::write(bench.db().with_file_name("rows.csv"), "id\n1\n2\n3\n").expect("a file");
    let url = format!("{}/{{{{ id }}}}", server.url());
    bench.run(&["run", "rows.csv", "--url", &url, "-d", "x", "--timeout", "300ms", "--backoff", "1ms..2ms"]).exits(0);
    let mut keys: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for arrival in server.arrivals() {
        keys.entry(arrival.key).or_default().push(arrival.idempotency_key);
    }
    assert!(keys.values().all(|sent| sent.len() == 2 && sent[0].is_some() && sent[0] == sent[1]), "{keys:?}");
    assert_eq!(arrivals_per_key(&server.arrivals()).len(), 3);
    card(&format!(
        "{:<58} timeout         retried   0 the same Idempotency-Key twice",
        "N21 carried out, but its answer was late"
    ));
}

// Seen failing with one client for the whole run: it had all its files in connections that nobody used.
/// Hosts on loopback, each with a connection that stays open.
#[test]
fn more_hosts_than_there_are_files_cost_no_job() {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            std::thread::Builder::new()
                .stack_size(64 << 10)
                .spawn(move || {
                    let mut some = [0; 2_048];
                    while client.read(&mut some).is_ok_and(|n| n > 0) {
                        // An error here is a client that has gone, which the next read tells.
                        let _ = client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1");
                    }
                })
                .expect("a thread");
        }
    });
    let bench = Bench::empty();
    let hosts = 1_000;
    let urls: String = (0..hosts).map(|n| format!("http://127.0.{}.{}:{port}/\n", 1 + n / 250, 1 + n % 250)).collect();
    std::fs::write(bench.db().with_file_name("urls.txt"), urls).expect("a file");
    let mut command = Command::new("sh");
    let program = format!("ulimit -n 64; exec {} --db jobs.db run urls.txt -c 16", env!("CARGO_BIN_EXE_haul"));
    command.arg("-c").arg(program);
    bench.spawn(command).wait().exits(0);
    let tries = bench.number("SELECT count(*) FROM attempts");
    card(&format!("{:<58} -               fine      0 {tries} tries for {hosts} hosts", "S17 1,000 hosts, 64 files"));
    assert_eq!(bench.number("SELECT count(*) FROM results"), hosts);
    assert_eq!(tries, hosts, "no connection fails for want of a file");
    // One host alone keeps its connections, though there are as few files.
    let server = Hostile::start(|wire| wire.answer(200, "", "1"));
    Row::fine("S17 one host", "1").jobs(40).with(&["-c", "4"]).meets(&server);
}
