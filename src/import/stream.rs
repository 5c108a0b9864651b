//! What lies between a file and its rows: bytes that are counted, and bytes that are looked at before they are read.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes, as they come.
pub(super) type Bytes = Box<dyn Read + Send>;

/// Counts what is read.
pub(super) struct Counted {
    input: Bytes,
    read: Arc<AtomicU64>,
}

impl Counted {
    pub(super) fn new(input: Bytes, read: Arc<AtomicU64>) -> Self {
        Self { input, read }
    }
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(out)?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// A stream whose beginning can be looked at, and is read nonetheless.
pub(super) struct Peeked {
    head: Vec<u8>,
    at: usize,
    /// What happened after the head: to be told when the head was read, for what comes before it is good.
    failed: Option<io::Error>,
    rest: Bytes,
}

impl Peeked {
    pub(super) fn new(rest: Bytes) -> Self {
        Self { head: Vec::new(), at: 0, failed: None, rest }
    }

    /// Reads on, up to `most` bytes, until there is enough to see, and gives what there is. At the end it is less.
    pub(super) fn look(&mut self, most: usize, enough: impl Fn(&[u8]) -> bool) -> io::Result<&[u8]> {
        while self.failed.is_none() && self.head.len() < most && !enough(&self.head[self.at..]) {
            let length = self.head.len();
            self.head.resize(most, 0);
            let read = self.rest.read(&mut self.head[length..]);
            self.head.truncate(length + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if length == 0 => return Err(error),
                Err(error) => self.failed = Some(error),
            }
        }
        Ok(&self.head[self.at..])
    }

    /// The beginning, as far as it can still be one of these signs.
    pub(super) fn sign(&mut self, signs: &[&[u8]]) -> io::Result<&[u8]> {
        let most = signs.iter().map(|sign| sign.len()).max().unwrap_or(0);
        self.look(most, |head| !signs.iter().any(|sign| sign.len() > head.len() && sign.starts_with(head)))
    }

    /// Leaves out so many bytes of what was looked at.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = bytes.min(self.head.len());
    }
}

impl Read for Peeked {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at < self.head.len() {
            let length = out.len().min(self.head.len() - self.at);
            out[..length].copy_from_slice(&self.head[self.at..self.at + length]);
            self.at += length;
            return Ok(length);
        }
        // Its memory is given back: most of a stream comes after its head.
        self.head = Vec::new();
        self.at = 0;
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.rest.read(out),
        }
    }
}
