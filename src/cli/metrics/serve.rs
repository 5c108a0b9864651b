//! A page for a scraper: one kind of request, one answer, and the connection is closed. Few at a time, and none for long.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// Connections at a time.
const CONNECTIONS: usize = 16;

/// For a request and its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// For the head of a request: who opens a connection and says nothing holds its place no longer.
const HEAD_PATIENCE: Duration = Duration::from_secs(1);

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
            _ = timeout(PATIENCE, answer(stream, &page)).await;
            drop(permit);
        });
    }
}

async fn answer(mut stream: TcpStream, page: &watch::Receiver<String>) -> io::Result<()> {
    let Some(head) = timeout(HEAD_PATIENCE, read(&stream)).await?? else {
        let body = "the head of a request has 8 KiB at most\n".to_owned();
        write(&stream, said("431 Request Header Fields Too Large", b"GET", &body).as_bytes()).await?;
        return part(&mut stream).await;
    };
    let mut words = head.split(|b| b.is_ascii_whitespace());
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split(|b| *b == b'?').next().unwrap_or_default();
    let (status, body) = match (method, path) {
        (b"GET" | b"HEAD", b"/metrics") if page.borrow().is_empty() => {
            ("503 Service Unavailable", "the run has not begun yet; ask again\n".to_owned())
        }
        (b"GET" | b"HEAD", b"/metrics") => ("200 OK", page.borrow().clone()),
        (b"GET" | b"HEAD", _) => ("404 Not Found", "the metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET is answered\n".to_owned()),
    };
    write(&stream, said(status, method, &body).as_bytes()).await
}

fn said(status: &str, method: &[u8], body: &str) -> String {
    let length = body.len();
    let body = if method == b"HEAD" { "" } else { body };
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\nx-content-type-options: nosniff\r\n\r\n{body}"
    )
}

/// Ends a connection on which more may come: closed at once, it would be reset, and the answer lost on its way.
async fn part(stream: &mut TcpStream) -> io::Result<()> {
    poll_fn(|context| Pin::new(&mut *stream).poll_shutdown(context)).await?;
    timeout(HEAD_PATIENCE, async {
        let mut rest = vec![0; HEAD];
        loop {
            stream.readable().await?;
            match stream.try_read(&mut rest) {
                Ok(0) => return Ok(()),
                Err(e) if e.kind() != io::ErrorKind::WouldBlock => return Err(e),
                _ => {}
            }
        }
    })
    .await?
}

/// The head of a request; `None` = it is too long.
async fn read(stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
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
            return Ok(Some(head));
        }
        if length == HEAD {
            return Ok(None);
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
