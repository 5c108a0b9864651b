//! A page for a scraper: one kind of request, one answer, and the connection is closed. Few at a time, and none for long.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Connections at a time.
const CONNECTIONS: usize = 16;

/// For a request and its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a request's head.
const HEAD: usize = 8 << 10;

/// Answers until it is broken off.
pub(super) async fn serve(listener: TcpListener, page: watch::Receiver<String>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    // Never closed, so there is always a permit to come.
    while let Ok(permit) = room.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, say: they may be fewer soon.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let page = page.clone();
        tokio::spawn(async move {
            // Whoever is too slow or goes away has no answer.
            _ = tokio::time::timeout(PATIENCE, answer(&stream, &page)).await;
            drop(permit);
        });
    }
}

async fn answer(stream: &TcpStream, page: &watch::Receiver<String>) -> io::Result<()> {
    let head = read(stream).await?;
    let mut words = head.split(|b| b.is_ascii_whitespace());
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split(|b| *b == b'?').next().unwrap_or_default();
    let (status, body) = match (method, path) {
        (b"GET" | b"HEAD", b"/metrics") => ("200 OK", page.borrow().clone()),
        (b"GET" | b"HEAD", _) => ("404 Not Found", "the metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET is answered\n".to_owned()),
    };
    let length = body.len();
    let body = if method == b"HEAD" { String::new() } else { body };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\nx-content-type-options: nosniff\r\n\r\n{body}"
    );
    write(stream, answer.as_bytes()).await
}

/// The head of a request.
async fn read(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let mut length = 0;
    loop {
        stream.readable().await?;
        match stream.try_read(&mut head[length..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => length += n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            Err(e) => return Err(e),
        }
        if head[..length].windows(4).any(|end| end == b"\r\n\r\n") {
            head.truncate(length);
            return Ok(head);
        }
        if length == HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
