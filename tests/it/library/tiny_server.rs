// A server that answers every request with one body, for examples in the documentation. It lives as long as the process.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

pub fn start(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream, body));
        }
    });
    url
}

/// One request a connection, read to its end: a socket closed over unread bytes takes the answer with it.
fn answer(mut stream: TcpStream, body: &str) {
    let mut asked = Vec::new();
    let mut byte = [0];
    while !asked.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
        asked.extend(byte);
    }
    let head = String::from_utf8_lossy(&asked).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut sent = vec![0; length.unwrap_or(0)];
    if stream.read_exact(&mut sent).is_ok() {
        let length = body.len();
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    }
}
