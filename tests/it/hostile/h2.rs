//! HTTP/2, frame by frame, from servers that end it in their own ways.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::row::Row;
use super::secure::{Secure, Stream};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// Of SETTINGS and PING; of DATA and HEADERS it ends the stream.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
/// `:status: 200`, as the static table has it.
const STATUS_200: &[u8] = &[0x88];

/// A request that arrived.
struct Asked {
    /// Its stream.
    id: u32,
    /// The how many-th of all, and of its connection, from 0.
    nth: u64,
    turn: u64,
    /// The stream before it.
    before: u32,
}

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short one").to_be_bytes();
    [&length[1..], &[kind, flags], &id.to_be_bytes(), payload].concat()
}

fn answer(id: u32) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, id, STATUS_200), frame(DATA, END_STREAM, id, b"1")].concat()
}

fn reset(id: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, id, &code.to_be_bytes())
}

/// The last stream that was looked at, and no error.
fn goaway(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

/// Reads frames, and sends what is said to requests; `None` closes the connection. `settings` are the server's.
fn speak(
    stream: &mut Stream,
    settings: &[u8],
    count: &AtomicU64,
    says: &dyn Fn(&Asked) -> Option<Vec<u8>>,
) -> io::Result<()> {
    stream.read_exact(&mut [0; 24])?;
    stream.write_all(&frame(SETTINGS, 0, 0, settings))?;
    let (mut turn, mut before) = (0, 0);
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [_, a, b, kind, flags, id @ ..] = head;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([a, b]))];
        stream.read_exact(&mut payload)?;
        match kind {
            SETTINGS | PING if flags & ACK == 0 => {
                let payload = if kind == PING { &payload[..] } else { &[] };
                stream.write_all(&frame(kind, ACK, 0, payload))?;
            }
            HEADERS => {
                let id = u32::from_be_bytes(id);
                let asked = Asked { id, nth: count.fetch_add(1, Ordering::SeqCst), turn, before };
                let Some(bytes) = says(&asked) else { return Ok(()) };
                stream.write_all(&bytes)?;
                (turn, before) = (turn + 1, id);
            }
            _ => {}
        }
    }
}

/// A server that says this to each request.
fn says(settings: &'static [u8], says: impl Fn(&Asked) -> Option<Vec<u8>> + Send + Sync + 'static) -> Option<Secure> {
    let count = Arc::new(AtomicU64::new(0));
    Secure::start("h2", &["-c", "4"], move |stream| speak(stream, settings, &count, &says))
}

/// Many jobs, each of which is answered in the end; how often they are tried does not matter.
fn fine(fault: &'static str, server: Option<Secure>) -> u64 {
    let Some(server) = server else { return 2 };
    let row = Row { tries: 0, ..Row::fine(fault, "1") };
    row.jobs(100).with(server.flags).at(&server.url);
    server.connections.load(Ordering::SeqCst)
}

// Seen failing with a refused stream taken for noise, and a connection that ended without a word for TLS not to be trusted: their
// jobs failed for good.
#[test]
fn a_server_that_ends_its_connections_or_refuses_streams_costs_no_job() {
    let goes = says(&[], |asked| match asked.turn {
        20 => Some([goaway(asked.before), Vec::new()].concat()),
        21.. => None,
        _ => Some(answer(asked.id)),
    });
    assert!(fine("N18 HTTP/2: GOAWAY after every 20th", goes) > 1, "it goes on elsewhere");
    let refuses =
        says(&[], |asked| Some(if asked.nth % 20 == 7 { reset(asked.id, REFUSED_STREAM) } else { answer(asked.id) }));
    fine("N18 HTTP/2: now and then REFUSED_STREAM", refuses);
    let closes = says(&[], |asked| (asked.turn < 20).then(|| answer(asked.id)));
    assert!(fine("N18 HTTP/2: closed after every 20th, without a word", closes) > 1, "it goes on elsewhere");
    // MAX_CONCURRENT_STREAMS
    let one = says(&[0, 3, 0, 0, 0, 1], |asked| Some(answer(asked.id)));
    fine("N18 HTTP/2: one stream at a time", one);
}

// Seen failing with a stream that is reset taken for noise.
#[test]
fn a_stream_that_is_reset_is_tried_again_and_frames_that_are_none_are_not() {
    let broken = |fault, kind, server: Option<Secure>| {
        let Some(server) = server else { return };
        Row::transient(fault, kind, "").with(server.flags).at(&server.url);
    };
    broken("N18 HTTP/2: reset before the head", "connect", says(&[], |asked| Some(reset(asked.id, INTERNAL_ERROR))));
    let half = says(&[], |asked| {
        let begun = [frame(HEADERS, END_HEADERS, asked.id, STATUS_200), frame(DATA, 0, asked.id, b"[1,")].concat();
        Some([begun, reset(asked.id, INTERNAL_ERROR)].concat())
    });
    broken("N18 HTTP/2: reset in the middle of the body", "connect", half);
    let permanent = |fault, server: Option<Secure>| {
        let Some(server) = server else { return };
        Row::permanent(fault, "decode", "").with(server.flags).at(&server.url);
    };
    permanent(
        "N8 HTTP/2: headers that are none",
        says(&[], |asked| Some(frame(HEADERS, END_HEADERS, asked.id, &[0xff; 40]))),
    );
    permanent("N8 HTTP/2: a frame that is too large", says(&[], |asked| Some(frame(DATA, 0, asked.id, &[0; 40_000]))));
    permanent("N8 HTTP/2: no status", says(&[], |asked| Some(frame(HEADERS, END_HEADERS, asked.id, &[0x83]))));
    permanent("N8 HTTP/2: HTTP/1", says(&[], |_| Some(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1".to_vec())));
}

/// Sends this again and again, until the client has enough.
fn floods(first: fn(u32) -> Vec<u8>, then: fn(u32) -> Vec<u8>) -> Option<Secure> {
    Secure::start("h2", &[], move |stream| {
        let mut id = 1;
        let count = AtomicU64::new(0);
        let begun = |asked: &Asked| (asked.nth > 0).then(Vec::new);
        speak(stream, &[], &count, &begun)?;
        stream.write_all(&first(id))?;
        loop {
            id += 2;
            stream.write_all(&then(id))?;
            std::thread::sleep(Duration::from_millis(1));
        }
    })
}

// Seen failing with noise taken for a connection that broke: headers without end were asked for again.
#[test]
fn floods_of_frames_cost_no_more_than_a_timeout_and_no_memory() {
    let pings = floods(|_| Vec::new(), |_| frame(PING, 0, 0, &[7; 8]).repeat(20));
    if let Some(server) = pings {
        Row::timeout("N8 HTTP/2: pings without end").with(server.flags).at(&server.url);
    }
    let field = |_| frame(CONTINUATION, 0, 1, &[0, 1, b'x', 1, b'y'].repeat(2_000));
    if let Some(server) = floods(|_| frame(HEADERS, 0, 1, STATUS_200), field) {
        let row = Row { tries: 0, ..Row::permanent("N8 HTTP/2: headers without end", "decode", "") };
        row.with(server.flags).at(&server.url);
    }
}
