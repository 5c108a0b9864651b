//! Answers whose ends are not where they say, and what is no answer at all.

use std::time::Duration;

use super::row::Row;
use super::wire::Hostile;

/// A server that sends this to whoever asks, and closes.
fn says(bytes: impl Into<Vec<u8>>) -> Hostile {
    let bytes = bytes.into();
    Hostile::start(move |wire| wire.send(&bytes))
}

/// The same, and then this for ever.
fn floods(head: &'static str, flood: &'static [u8]) -> Hostile {
    Hostile::start(move |wire| wire.send(head).and_then(|_| wire.forever(flood)))
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

// Seen failing with the words for such an end left out.
#[test]
fn a_body_that_ends_too_early_is_no_success() {
    for (fault, bytes) in [
        ("N6 Content-Length too long", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[1,2]".to_owned()),
        ("N6 chunks that break off", format!("{CHUNKED}5\r\n[1,2]\r\n")),
        ("N6 a chunk that breaks off", format!("{CHUNKED}10\r\n[1,2]")),
        ("N6 a chunk's size that breaks off", format!("{CHUNKED}5\r\n[1,2]\r\n1")),
        ("N6 no line after the last chunk", format!("{CHUNKED}5\r\n[1,2]\r\n0\r\n")),
    ] {
        Row::transient(fault, "body_truncated", "").meets(&says(bytes));
    }
}

// Seen failing without the look at both headers.
#[test]
fn an_answer_that_says_in_two_ways_where_it_ends_is_none() {
    let two = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n[1,2]";
    Row::permanent("N7 two Content-Lengths", "decode", "content-length").meets(&says(two));
    let list = "HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\n[1,2]";
    Row::permanent("N7 two Content-Lengths in one", "decode", "content-length").meets(&says(list));
    let equal = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n[1,2]";
    Row::fine("N7 the same Content-Length twice", "[1,2]").meets(&says(equal));
    let both = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[1,2]\r\n0\r\n\r\n";
    let words = "both a Content-Length and a Transfer-Encoding";
    Row::permanent("N7 Content-Length and chunks", "decode", words).meets(&says(both));
    let negative = "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n[1,2]";
    Row::permanent("N7 a negative Content-Length", "decode", "content-length").meets(&says(negative));
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n[1,2]", "9".repeat(40));
    Row::permanent("N7 a Content-Length that is no number of bytes", "decode", "content-length").meets(&says(huge));
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n[1,2]", u64::MAX - 9);
    Row::permanent("N7 a Content-Length of 16 exabytes", "body_too_large", "--max-body").meets(&says(huge));
}

// Seen failing with the forged answer sent when the next request was there: then nobody can tell.
#[test]
fn what_follows_an_answer_is_not_taken_for_the_next_one() {
    let forged = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n\"forged\"";
    let extra = Hostile::start(move |wire| {
        wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n\"true\"{forged}"))?;
        Ok(true)
    });
    Row::fine("N7 an answer, and a forged one behind it", "\"true\"").jobs(30).with(&["-c", "1"]).meets(&extra);
    let junk = says("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n[1,2] and more");
    Row::fine("N7 Content-Length too short", "[1,2]").meets(&junk);
}

// Seen failing with whatever went wrong while reading taken for a broken connection: it was tried again.
#[test]
fn chunks_that_are_none_fail_for_good_and_endless_ones_are_cut() {
    for (fault, body) in [
        ("N8 a chunk's size that is no number", "zz\r\n[1,2]\r\n0\r\n\r\n"),
        ("N8 a chunk's size beyond all numbers", "ffffffffffffffffff\r\n[1,2]\r\n"),
        ("N8 a negative chunk", "-5\r\n[1,2]\r\n0\r\n\r\n"),
        ("N8 a chunk longer than it says", "2\r\n[1,2]\r\n0\r\n\r\n"),
    ] {
        Row::permanent(fault, "decode", "").meets(&says(format!("{CHUNKED}{body}")));
    }
    let huge = floods("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7fffffffffffffff\r\n", b"x");
    Row::permanent("N8 a chunk of 8 exabytes", "body_too_large", "--max-body").meets(&huge);
    let endless = floods(CHUNKED, b"40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n");
    Row::permanent("N8 chunks without end", "body_too_large", "--max-body").meets(&endless);
    let endless = floods("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;", b"extension=");
    Row::permanent("N8 a chunk's extension without end", "decode", "").meets(&endless);
    let endless = floods("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[1,2]\r\n0\r\n", b"x: y\r\n");
    Row::permanent("N8 trailers without end", "decode", "").meets(&endless);
}

// Seen failing with three times the timeout.
#[test]
fn heads_that_never_end_cost_no_memory() {
    // Some twenty thousand a second: more keep a debug build busy reading them beyond any deadline.
    let endless =
        |bytes: &'static str| Hostile::start(move |wire| wire.drip(&[bytes.repeat(50)], Duration::from_millis(2)));
    Row::timeout("N8 1xx without end").meets(&endless("HTTP/1.1 100 Continue\r\n\r\n"));
    let hints = endless("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n");
    Row::timeout("N8 early hints without end, to 4 jobs").jobs(4).meets(&hints);
    let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(10_000));
    Row::permanent("N8 10,000 headers", "decode", "head is too large").meets(&says(many));
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(1 << 20));
    Row::permanent("N8 a header of 1 MB", "decode", "head is too large").meets(&says(long));
    let endless = floods("HTTP/1.1 200 OK\r\nx: ", b"y");
    Row::permanent("N8 a header without end, to 40 jobs", "decode", "head is too large")
        .jobs(40)
        .with(&["--max-failures", "99"])
        .meets(&endless);
    let endless = floods("HTTP/1.1 200 ", b"O");
    Row::permanent("N8 a reason without end", "decode", "head is too large").meets(&endless);
}

// Seen failing with noise taken for a failure of TLS.
#[test]
fn what_is_no_http_is_no_answer() {
    let noise: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (fault, bytes) in [
        ("N8 noise", noise),
        ("N8 another protocol", b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec()),
        ("N8 HTTP/0.9", b"<html>hello</html>".to_vec()),
        ("N8 HTTP/9.9", b"HTTP/9.9 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("N8 HTTP/2 that nobody asked for", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        ("N8 a status that is no number", b"HTTP/1.1 two OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("N8 status 99", b"HTTP/1.1 099 x\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("N8 status 1000", b"HTTP/1.1 1000 x\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("N8 a NUL in a header", b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("N8 a header without a name", b"HTTP/1.1 200 OK\r\n: a\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("N8 a TLS alert", b"\x15\x03\x01\0\x02\x02\x46".to_vec()),
    ] {
        Row::permanent(fault, "decode", "").meets(&says(bytes));
    }
    let odd = says("HTTP/1.1 999 x\r\ncontent-length: 2\r\n\r\nno");
    Row::permanent("N8 status 999", "999", "no standard reason: no").meets(&odd);
    let switch = says("HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nmore");
    Row::permanent("N8 another protocol that nobody asked for", "101", "").meets(&switch);
}
