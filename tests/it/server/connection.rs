//! One connection: HTTP/1.1 with keep-alive, one request after the other.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::script::{Answer, Asked, Reply};
use super::{Admission, Shared};

/// A longer head is none.
const MAX_HEAD: usize = 64 << 10;

/// Serves requests until the client goes, or a reply ends the connection.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut connection = Connection { stream, unread: Vec::new() };
    // A client that was killed in the middle is what this server is for.
    while let Ok(true) = connection.request(&shared).await {}
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    /// One request and its reply; whether there may be another.
    async fn request(&mut self, shared: &Shared) -> io::Result<bool> {
        let Some(head) = self.head().await? else { return Ok(false) };
        let Some(mut asked) = parse(&head) else {
            self.send(&Answer::status(400), None).await?;
            return Ok(false);
        };
        let Admission { entry, nth, excess } = shared.arrive(&asked.key, asked.header("idempotency-key"));
        asked.nth = nth;
        let reply = self.decide(shared, &mut asked, excess).await;
        let (status, whole, mut goes_on) = match &reply {
            Ok(Reply::Answer(answer)) => (Some(answer.status), true, !answer.closes()),
            Ok(Reply::Partial(answer, _) | Reply::Drip(answer, _)) => (Some(answer.status), false, false),
            _ => (None, false, false),
        };
        goes_on &= asked.header("connection") != Some("close");
        // Noted before it is sent, so that who has an answer finds it in the log.
        shared.done(entry, status, whole);
        let sent = self.reply(reply?).await;
        if sent.is_err() {
            shared.broke(entry);
        }
        sent.map(|()| goes_on)
    }

    /// What the reply is, when it is time for it. A request that hangs is over when its client is gone.
    async fn decide(&mut self, shared: &Shared, asked: &mut Asked, excess: Option<Duration>) -> io::Result<Reply> {
        let length = asked.header("content-length").map_or(Some(0), |length| length.parse().ok());
        let (Some(length), None) = (length, asked.header("transfer-encoding")) else {
            // haul always says how long its body is.
            return Ok(Answer::status(411).header("connection", "close").into());
        };
        asked.body = self.body(length).await?;
        if let Some(wait) = excess {
            let seconds = wait.as_nanos().div_ceil(1_000_000_000).max(1).to_string();
            return Ok(Answer::status(429).header("retry-after", &seconds).into());
        }
        if !shared.script.latency.is_zero() {
            tokio::time::sleep(shared.script.latency).await; // even a sleep of nothing takes a millisecond
        }
        let mut reply = (shared.script.decide)(asked);
        loop {
            reply = match reply {
                Reply::After(wait, then) => {
                    tokio::time::sleep(wait).await;
                    *then
                }
                Reply::Held(gate, then) => {
                    gate.opened().await;
                    *then
                }
                _ => break,
            };
        }
        if matches!(reply, Reply::Hang) {
            while self.stream.read(&mut [0; 1024]).await? > 0 {}
        }
        Ok(reply)
    }

    async fn reply(&mut self, reply: Reply) -> io::Result<()> {
        // The system takes bytes for a client that is dead already: ask before.
        if self.stream.try_read_buf(&mut self.unread).is_ok_and(|bytes| bytes == 0) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match reply {
            Reply::Answer(answer) => self.send(&answer, None).await,
            Reply::Partial(answer, bytes) => self.send(&answer, Some(bytes)).await,
            Reply::Raw(bytes) => self.stream.write_all(&bytes).await,
            Reply::Drip(answer, every) => {
                for byte in bytes(&answer) {
                    self.stream.write_all(&[byte]).await?;
                    tokio::time::sleep(every).await;
                }
                Ok(())
            }
            Reply::Reset => self.stream.set_zero_linger(), // closing it now is a reset
            Reply::Close | Reply::Hang | Reply::After(..) | Reply::Held(..) => Ok(()),
        }
    }

    /// In one write: head, and body or so many bytes of it.
    async fn send(&mut self, answer: &Answer, only: Option<usize>) -> io::Result<()> {
        let mut bytes = bytes(answer);
        bytes.truncate(only.map_or(usize::MAX, |only| bytes.len() - answer.body.len() + only.min(answer.body.len())));
        self.stream.write_all(&bytes).await
    }

    /// The head of the next request, without its end; none where the client is gone.
    async fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0_usize;
        loop {
            // Three bytes of the end may have been there before.
            let from = searched.saturating_sub(3);
            if let Some(at) = self.unread[from..].windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.unread.split_off(from + at + 4);
                let head = std::mem::replace(&mut self.unread, rest);
                return Ok(Some(head));
            }
            searched = self.unread.len();
            if searched > MAX_HEAD || self.stream.read_buf(&mut self.unread).await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn body(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let rest = self.unread.split_off(length);
        Ok(std::mem::replace(&mut self.unread, rest))
    }
}

/// An answer as it is sent.
fn bytes(answer: &Answer) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} x\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    [head.as_bytes(), &answer.body].concat()
}

/// A request line and headers; none where it is no HTTP/1.
fn parse(head: &[u8]) -> Option<Asked> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let headers = lines
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())))
        .collect::<Option<Vec<_>>>()?;
    let key = key(&target).to_owned();
    Some(Asked { method, target, headers, body: Vec::new(), key, nth: 1 })
}

/// The query parameter `k`, else the last segment of the path.
fn key(target: &str) -> &str {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let named = query.split('&').find_map(|pair| pair.strip_prefix("k="));
    named.unwrap_or_else(|| path.rsplit('/').next().unwrap_or(path))
}
