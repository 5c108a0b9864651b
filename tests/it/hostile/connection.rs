//! Connections that are refused, reset, closed, or never say enough.

use std::net::TcpListener;
use std::time::Duration;

use super::row::Row;
use super::wire::{Hostile, Wire};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";

// Seen failing with every such failure taken for one of TLS.
#[test]
fn a_connection_that_breaks_is_tried_again() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    Row::transient("N2 refused", "connect", "Connection refused").at(&format!("http://{nobody}"));
    let reset = Hostile::start(Wire::reset);
    Row::transient("N2 reset before a byte", "connect", "reset").meets(&reset);
    assert_eq!(reset.asked(), 2);
    let unread = Hostile::unasked(Wire::reset);
    Row::transient("N2 reset before the request is read", "connect", "").meets(&unread);
    let closed = Hostile::start(|_| Ok(false));
    Row::transient("N2 closed before a byte", "connect", "").meets(&closed);
    let head = Hostile::start(|wire| wire.send("HTTP/1.1 200 OK\r\nx: y").and_then(|_| wire.reset()));
    Row::transient("N2 reset in the middle of the head", "connect", "reset").meets(&head);
    let closed = Hostile::start(|wire| wire.send("HTTP/1.1 200 OK\r\nx: y"));
    Row::transient("N2 closed in the middle of the head", "connect", "").meets(&closed);
    let body = Hostile::start(|wire| wire.send([HEAD, b"12345"].concat()).and_then(|_| wire.reset()));
    Row::transient("N2 reset in the middle of the body", "connect", "reset").meets(&body);
}

// Seen failing with three times the timeout.
#[test]
fn whoever_says_nothing_or_not_enough_costs_a_timeout_and_no_more() {
    let silent = Hostile::start(Wire::hang);
    Row::timeout("N3 no answer").meets(&silent);
    let half = Hostile::start(|wire| wire.send([HEAD, b"12345"].concat()).and_then(|_| wire.hang()));
    Row::timeout("N3 half of an answer, then nothing").meets(&half);
    let slow = Hostile::start(|wire| wire.send(HEAD).and_then(|_| wire.drip(&["1"], Duration::from_millis(150))));
    Row::timeout("N5 a byte of the body now and then").meets(&slow);
    let bytes: Vec<_> = HEAD.iter().map(|byte| [*byte]).collect();
    let slow = Hostile::start(move |wire| wire.drip(&bytes, Duration::from_millis(40)));
    Row::timeout("N5 a byte of the head now and then").meets(&slow);
    let never = Hostile::start(|wire| {
        wire.send("HTTP/1.1 200 OK\r\n")?;
        wire.drip(&["x-more: 1\r\n"], Duration::from_millis(20))
    });
    Row::timeout("N5 headers that never end, slowly").meets(&never);
    let many = Hostile::start(Wire::hang);
    Row::timeout("N3 no answer, to 4 jobs at once").jobs(4).meets(&many);
}

// Seen failing with three times the time to connect.
/// A port whose queue is full: the system answers no further connection.
#[test]
fn a_server_that_cannot_be_reached_costs_the_time_to_connect() {
    use socket2::{Domain, Socket, Type};

    let full = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    full.listen(0).expect("it listens");
    let address = full.local_addr().expect("an address");
    let queued: Vec<_> = (0..4)
        .map(|_| {
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            client.set_nonblocking(true).expect("it does not wait");
            _ = client.connect(&address); // in progress, which is an error here
            client
        })
        .collect();
    let root = format!("http://{}", address.as_socket().expect("an IP address"));
    let row = Row { timeout: Duration::from_millis(900), ..Row::timeout("N3 a black hole") };
    let row = Row { says: "no connection within 300ms", ..row };
    row.with(&["--connect-timeout", "300ms"]).at(&root);
    drop(queued);
}

// Seen failing with a server that closes in place of every third answer.
#[test]
fn a_server_that_closes_its_idle_connections_costs_no_job() {
    let races = Hostile::start(|wire| {
        wire.answer(200, "", "1")?;
        Ok(wire.turn % 3 != 2)
    });
    // Who loses the race is sent anew, which may cost a try: any number of them.
    let row = Row { tries: 0, ..Row::fine("N18 every third answer closes, without a word", "1") };
    let met = row.jobs(200).with(&["-c", "4"]).meets(&races);
    assert_eq!(met.bench.number("SELECT count(*) FROM results"), 200);
    assert!((200..220).contains(&races.asked()), "{} requests", races.asked());
}
