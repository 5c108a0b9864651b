use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;

use super::*;
use crate::checker;

/// A client of few words.
struct Client(BufReader<TcpStream>);

impl Client {
    fn of(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        Self(BufReader::new(stream))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("the server reads");
    }

    fn ask(&mut self, target: &str) -> (String, String) {
        self.send(&format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n"));
        self.answer().expect("an answer")
    }

    /// Head and body of the next answer.
    fn answer(&mut self) -> std::io::Result<(String, String)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let mut body = vec![0; length.parse().expect("a number")];
        self.0.read_exact(&mut body)?;
        Ok((head, String::from_utf8(body).expect("text")))
    }
}

#[test]
fn requests_on_one_connection_are_answered_and_logged_in_their_order() {
    let server = Server::start(Script::ok());
    assert_eq!(server.url(), format!("http://{}", server.address()));
    let mut client = Client::of(&server);
    assert_eq!(client.ask("/jobs/a1").1, r#"{"key":"a1"}"#);
    assert_eq!(client.ask("/jobs?x=1&k=b2").1, r#"{"key":"b2"}"#);
    client.send("POST /p/c3 HTTP/1.1\r\nIdempotency-Key: i3\r\ncontent-length: 3\r\n\r\nabcGET /d4 HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().expect("an answer").1, r#"{"key":"c3"}"#);
    assert_eq!(client.answer().expect("an answer to what came with it").1, r#"{"key":"d4"}"#);

    let arrivals = server.arrivals();
    let keys: Vec<&str> = arrivals.iter().map(|arrival| arrival.key.as_str()).collect();
    assert_eq!(keys, ["a1", "b2", "c3", "d4"]);
    assert!(arrivals.iter().all(|arrival| arrival.status == Some(200) && arrival.answered));
    assert!(arrivals.is_sorted_by_key(|arrival| arrival.at_ns));
    assert_eq!(arrivals[2].idempotency_key.as_deref(), Some("i3"));
    assert_eq!((server.total(), server.unanswered()), (4, 0));
}

#[test]
fn a_script_sees_the_request_and_how_often_it_came() {
    let server = Server::start(Script::new(|asked| match asked.nth {
        1 => Answer::status(503).header("retry-after", "1"),
        nth => Answer::json(format!("{} {} {nth} {:?}", asked.method, asked.target, asked.body)),
    }));
    let mut client = Client::of(&server);
    let (head, _) = client.ask("/a");
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: 1\r\n"), "{head}");
    assert!(client.ask("/b").0.starts_with("HTTP/1.1 503 "));
    assert_eq!(client.ask("/a").1, "GET /a 2 []");
    assert_eq!(checker::arrivals_per_key(&server.arrivals())["a"], 2);
}

#[test]
fn an_exchange_may_end_in_every_bad_way() {
    let server = Server::start(Script::new(|asked| match asked.key.as_str() {
        "close" => Reply::Close,
        "reset" => Reply::Reset,
        "partial" => Reply::Partial(Answer::json("{\"whole\": true}"), 5),
        "drip" => Reply::Drip(Answer::json("{\"whole\": true}"), Duration::from_millis(1)),
        "raw" => Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi and more".to_vec()),
        _ => Reply::Hang,
    }));
    let ends = |key: &str| {
        let mut client = Client::of(&server);
        client.send(&format!("GET /{key} HTTP/1.1\r\n\r\n"));
        let mut text = String::new();
        let end = client.0.read_to_string(&mut text).map_err(|error| error.kind());
        (text.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned(), end.err())
    };
    assert_eq!(ends("close"), (String::new(), None));
    assert_eq!(ends("reset"), (String::new(), Some(ErrorKind::ConnectionReset)));
    assert_eq!(ends("partial"), ("{\"who".to_owned(), None));
    assert_eq!(ends("raw"), ("hi and more".to_owned(), None));
    assert_eq!(ends("drip"), ("{\"whole\": true}".to_owned(), None));
    assert!(server.arrivals().iter().all(|arrival| !arrival.answered));
    let statuses: Vec<Option<u16>> = server.arrivals().iter().map(|arrival| arrival.status).collect();
    assert_eq!(statuses, [None, None, Some(200), None, Some(200)]);
}

#[test]
fn what_hangs_or_waits_counts_as_unanswered_until_its_client_dies() {
    let server = Server::start(Script::new(|_| Reply::Hang));
    let mut client = Client::of(&server);
    client.send("GET /a HTTP/1.1\r\n\r\n");
    until(|| server.unanswered() == 1);
    drop(client);
    until(|| server.unanswered() == 0);
    assert!(!server.arrivals()[0].answered);
}

#[test]
fn an_answer_to_a_client_that_died_meanwhile_is_none() {
    let server = Server::start(Script::ok().latency(Duration::from_millis(100)));
    let mut client = Client::of(&server);
    client.send("GET /a HTTP/1.1\r\n\r\n");
    until(|| server.unanswered() == 1);
    drop(client);
    until(|| server.unanswered() == 0);
    until(|| !server.arrivals()[0].answered);
    assert_eq!(Client::of(&server).ask("/b").1, r#"{"key":"b"}"#);
    assert!(server.arrivals()[1].answered);
}

#[test]
fn an_answer_takes_as_long_as_the_script_says() {
    let later = |_: &Asked| Reply::After(Duration::from_millis(40), Box::new(Answer::status(204).into()));
    let server = Server::start(Script::new(later).latency(Duration::from_millis(30)));
    let mut client = Client::of(&server);
    assert!(client.ask("/a").0.starts_with("HTTP/1.1 204 "));
    let took = server.now_ns() - server.arrivals()[0].at_ns;
    assert!(took >= 70_000_000, "{took} ns");
}

#[test]
fn what_exceeds_the_limit_is_refused_and_counts() {
    let server = Server::start(Script::ok().limit(3, Duration::from_secs(60)).latency(Duration::from_millis(1)));
    let mut client = Client::of(&server);
    let heads: Vec<String> = (0..5).map(|n| client.ask(&format!("/{n}")).0).collect();
    let refused: Vec<bool> = heads.iter().map(|head| head.starts_with("HTTP/1.1 429 ")).collect();
    assert_eq!(refused, [false, false, false, true, true]);
    assert!(heads[3].contains("retry-after: 60\r\n"), "{}", heads[3]);
    assert_eq!(server.arrivals().iter().filter(|arrival| arrival.status == Some(429)).count(), 2);
}

#[test]
fn garbage_is_answered_with_400_and_a_body_without_length_with_411() {
    let server = Server::start(Script::ok());
    for (garbage, status) in [
        ("hello\r\n\r\n", "400"),
        ("GET / SPDY/9\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", "411"),
        ("POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", "411"),
    ] {
        let mut client = Client::of(&server);
        client.send(garbage);
        assert!(client.answer().expect("an answer").0.starts_with(&format!("HTTP/1.1 {status} ")), "{garbage}");
    }
}

#[test]
fn thousands_of_requests_are_answered_with_a_log_and_without() {
    for log in [true, false] {
        let script = if log { Script::ok() } else { Script::ok().without_log() };
        let server = Server::start(script);
        std::thread::scope(|scope| {
            for worker in 0..8 {
                let mut client = Client::of(&server);
                scope.spawn(move || (0..1_000).for_each(|n| _ = client.ask(&format!("/{worker}-{n}"))));
            }
        });
        assert_eq!((server.total(), server.unanswered()), (8_000, 0));
        assert_eq!(server.arrivals().len(), if log { 8_000 } else { 0 });
    }
}

/// Waits for what must become true; a test that hangs here has failed.
fn until(what: impl Fn() -> bool) {
    for _ in 0..5_000 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it did not become true within 5 s");
}
