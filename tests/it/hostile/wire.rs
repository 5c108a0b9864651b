//! A server that is given each connection raw, and does with it what no server should. A thread a connection: whatever blocks
//! there blocks nobody else.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What is done with a request; whether another one may follow on its connection.
type Serve = dyn Fn(&mut Wire) -> io::Result<bool> + Send + Sync;

/// A running server. Ends when it is dropped; its connections end with their clients.
pub(super) struct Hostile {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

/// A connection on which a request has arrived.
pub(super) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
    /// The last segment of what was asked for.
    pub(super) key: String,
    /// The how many-th request of all, from 0.
    pub(super) nth: u64,
    /// The how many-th of this connection, from 0.
    pub(super) turn: u64,
}

impl Hostile {
    /// Calls this for every request.
    pub(super) fn start(serve: impl Fn(&mut Wire) -> io::Result<bool> + Send + Sync + 'static) -> Self {
        Self::spawn(Arc::new(serve), true)
    }

    /// Calls this for every connection, before a byte is read from it.
    pub(super) fn unasked(serve: impl Fn(&mut Wire) -> io::Result<bool> + Send + Sync + 'static) -> Self {
        Self::spawn(Arc::new(serve), false)
    }

    fn spawn(serve: Arc<Serve>, reads: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ends, counts) = (over.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                // An error here is a client that was gone before it was accepted.
                let Ok(stream) = stream else { continue };
                let (serve, counts) = (serve.clone(), counts.clone());
                // That the client has gone is what most of this is about.
                std::thread::spawn(move || drop(Wire::new(stream).serve(&*serve, reads, &counts)));
            }
        });
        Self { address, over, asked }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests, or where none is read, connections there were.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread, so that it sees that. An error means that nobody listens any more.
        let _ = TcpStream::connect(self.address);
    }
}

impl Wire {
    fn new(stream: TcpStream) -> Self {
        _ = stream.set_nodelay(true);
        Self { stream, unread: Vec::new(), key: String::new(), nth: 0, turn: 0 }
    }

    fn serve(mut self, serve: &Serve, reads: bool, counts: &AtomicU64) -> io::Result<()> {
        loop {
            if reads && !self.request()? {
                return Ok(());
            }
            self.nth = counts.fetch_add(1, Ordering::SeqCst);
            if !serve(&mut self)? || !reads {
                return Ok(());
            }
            self.turn += 1;
        }
    }

    /// Reads a head, and the body that it announces; whether there was one.
    fn request(&mut self) -> io::Result<bool> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let mut some = [0; 4096];
            match self.stream.read(&mut some)? {
                0 => return Ok(false),
                n => self.unread.extend_from_slice(&some[..n]),
            }
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        let target = head.split(' ').nth(1).unwrap_or_default();
        self.key = target.rsplit('/').next().unwrap_or_default().to_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        self.unread.drain(..end);
        let have = self.unread.len().min(length);
        self.unread.drain(..have);
        io::copy(&mut (&self.stream).take((length - have) as u64), &mut io::sink())?;
        Ok(true)
    }

    /// Reads what is there: who closes without it resets the connection.
    pub(super) fn hear(&mut self) -> io::Result<()> {
        self.stream.read(&mut [0; 4096]).map(drop)
    }

    /// Sends these bytes; no more requests.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<bool> {
        self.stream.write_all(bytes.as_ref())?;
        Ok(false)
    }

    /// A whole answer, after which another may follow.
    pub(super) fn answer(&mut self, status: u16, headers: &str, body: impl AsRef<[u8]>) -> io::Result<bool> {
        let body = body.as_ref();
        let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        self.send([head.as_bytes(), body].concat())?;
        Ok(true)
    }

    /// Sends this again and again, until the client has enough.
    pub(super) fn forever(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let many = bytes.repeat((64 << 10) / bytes.len().max(1) + 1);
        loop {
            self.stream.write_all(&many)?;
        }
    }

    /// Sends these again and again, one now and then.
    pub(super) fn drip<B: AsRef<[u8]>>(&mut self, pieces: &[B], every: Duration) -> io::Result<bool> {
        for piece in pieces.iter().cycle() {
            self.stream.write_all(piece.as_ref())?;
            std::thread::sleep(every);
        }
        Ok(false)
    }

    /// Says nothing until the client goes.
    pub(super) fn hang(&mut self) -> io::Result<bool> {
        io::copy(&mut self.stream, &mut io::sink())?;
        Ok(false)
    }

    /// The connection is reset.
    pub(super) fn reset(&mut self) -> io::Result<bool> {
        // Sent bytes go first: what is reset at once is never seen.
        std::thread::sleep(Duration::from_millis(20));
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
        Ok(false)
    }
}
