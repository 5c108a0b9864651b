//! `--metrics`: what Prometheus reads of a run, and what is refused.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::folder::Folder;
use crate::processing::has;
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};

fn folder(server: &Server, jobs: usize) -> Folder {
    Folder::with("urls.txt", &(0..jobs).map(|n| format!("{}/{n}\n", server.url())).collect::<String>())
}

/// What promtool says of these metrics, where there is one (`apt-get install prometheus`).
fn check(metrics: &str) {
    if !has("promtool") {
        return;
    }
    let mut promtool = Command::new("promtool");
    let piped = promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("promtool");
    child.stdin.take().expect("its input").write_all(metrics.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("its end");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

fn value(metrics: &str, sample: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a number"))
}

// Seen failing with the last writing left out of `keep_writing`: the file told of a run that had not begun.
#[test]
fn a_file_tells_how_a_run_ended_in_words_that_promtool_takes() {
    let server = Server::start(Script::new(|asked: &Asked| -> Reply {
        match (asked.target.as_str(), asked.nth) {
            ("/3", _) => Answer::status(404).into(),
            ("/4", 1) => Answer::status(503).into(),
            _ => Answer::json("1").into(),
        }
    }));
    let folder = folder(&server, 8);
    let flags = ["--rate", "1000/s", "--sla", "60s", "--backoff", "1ms..2ms", "--metrics", "haul.prom"];
    folder.haul(&[&["run", "urls.txt"], &flags[..]].concat()).exits(3);
    let metrics = std::fs::read_to_string(folder.path("haul.prom")).expect("the file");
    check(&metrics);
    for (sample, expected) in [
        ("haul_jobs{state=\"succeeded\"}", 7.0),
        ("haul_jobs{state=\"failed\"}", 1.0),
        ("haul_jobs_with_error{error_type=\"404\",standing=\"failed\"}", 1.0),
        ("haul_requests_total", 9.0),
        ("haul_retries_total", 1.0),
        ("haul_results_within_sla_total", 7.0),
        ("haul_rate_limit_permits{limit=\"1000/s\"}", 1000.0),
        ("http_client_request_duration_seconds_count", 9.0),
        ("http_client_request_duration_seconds_bucket{le=\"+Inf\"}", 9.0),
        ("haul_stage_duration_seconds_count{stage=\"latency\"}", 7.0),
        ("haul_run_active", 0.0),
    ] {
        assert_eq!(value(&metrics, sample), Some(expected), "{sample} in\n{metrics}");
    }
    assert!(value(&metrics, "http_client_request_duration_seconds_sum").is_some_and(|sum| sum > 0.0));
    assert!(folder.names().iter().all(|name| !name.ends_with(".part")), "{:?}", folder.names());
}

fn ask(address: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(4)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn an_address_tells_while_the_run_goes_and_nobody_after_it() {
    let gate = Gate::closed();
    let held = gate.clone();
    let server = Server::start(Script::new(move |_: &Asked| -> Reply {
        Reply::Held(held.clone(), Box::new(Answer::json("1").into()))
    }));
    let folder = folder(&server, 3);
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    std::thread::scope(|scope| {
        let run = scope.spawn(|| folder.haul(&["run", "urls.txt", "--metrics", &address.to_string()]).exits(0));
        while server.unanswered() < 3 {
            std::thread::yield_now();
        }
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").expect("an answer");
        let (head, metrics) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4"), "{head}");
        assert_eq!(value(metrics, "haul_jobs{state=\"pending\"}"), Some(3.0));
        check(metrics);
        for (request, status) in [("GET / HTTP/1.1\r\n\r\n", "404 "), ("POST /metrics HTTP/1.1\r\n\r\n", "405 ")] {
            assert!(ask(address, request).expect("an answer").starts_with(&format!("HTTP/1.1 {status}")), "{request}");
        }
        let answer = ask(address, &"x".repeat(9_000)).expect("an answer to a head without an end");
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        // Seen failing with five seconds for a head.
        let idle: Vec<_> = (0..16).map(|_| TcpStream::connect(address).expect("a connection")).collect();
        ask(address, "GET /metrics HTTP/1.1\r\n\r\n").expect("an answer after those who say nothing");
        drop(idle);
        gate.open();
        run.join().expect("the run").err_has(&format!("metrics at http://{address}/metrics\n"));
    });
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn what_cannot_be_told_is_refused_before_anything_is_sent() {
    let server = Server::start(Script::ok());
    let folder = folder(&server, 2);
    assert!(Command::new("mkfifo").arg(folder.path("x.fifo")).status().expect("mkfifo").success());
    symlink("x.fifo", folder.path("fifo.prom")).expect("a link");
    symlink("nowhere", folder.path("no.prom")).expect("a link");
    let refused = |to: &str| {
        format!("error: --metrics: {to} is no regular file and would be replaced by one; name another file\n")
    };
    let before = folder.names();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    for (to, message) in [
        (taken.as_str(), format!("error: --metrics: failed to listen on {taken}: [..]; name another port\n")),
        (
            "none/x.prom",
            "error: --metrics: failed to write none/x.prom: No such file or directory (os error 2)\n".to_owned(),
        ),
        (".", "error: --metrics: . is a folder; name a file\n".to_owned()),
        ("haul.db", "error: --metrics: haul.db is the database; name another file\n".to_owned()),
        ("x.fifo", refused("x.fifo")),
        ("fifo.prom", refused("fifo.prom")),
        ("no.prom", "error: --metrics: no.prom is a link that leads to no file; name the file itself\n".to_owned()),
        (
            "-",
            "error: invalid value '-' for '--metrics <FILE|ADDR>': standard output is for the summary; write the name of \
             a file, or an address: 127.0.0.1:9464\n\nFor more information[..]\n"
                .to_owned(),
        ),
        (
            "example.com:80",
            "error: invalid value 'example.com:80' for '--metrics <FILE|ADDR>': write an IP address and a port, \
             127.0.0.1:9464, or the name of a file\n\nFor more information[..]\n"
                .to_owned(),
        ),
    ] {
        let said = folder.haul(&["run", "urls.txt", "--metrics", to]).exits(2);
        let said_last = said.err.split_once("error: ").map_or(String::new(), |(_, last)| format!("error: {last}"));
        assert!(super::folder::fits(&message, &said_last), "{to}: {}", said.err);
        // Seen failing with the place taken after the import: the jobs were there.
        assert_eq!(folder.names(), before, "{to}");
    }
    let fifo = std::fs::metadata(folder.path("x.fifo")).expect("it is there");
    assert!(fifo.file_type().is_fifo() && server.total() == 0);
}

// Seen failing with a path that is used as it was given: the link became a file.
#[test]
fn a_link_stays_and_where_it_leads_is_written() {
    let server = Server::start(Script::ok());
    let folder = folder(&server, 1);
    folder.write("real.prom", "old");
    symlink("real.prom", folder.path("l.prom")).expect("a link");
    folder.haul(&["run", "urls.txt", "--metrics", "l.prom"]).exits(0);
    assert!(std::fs::symlink_metadata(folder.path("l.prom")).expect("it is there").is_symlink());
    check(&std::fs::read_to_string(folder.path("real.prom")).expect("the file"));
    assert!(std::fs::read_to_string(folder.path("real.prom")).expect("the file").contains("haul_jobs{"));
}
