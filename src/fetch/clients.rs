//! Which client sends a request. One keeps connections that nobody uses for the next request to their host, and each takes a
//! file: where every request goes to another host they would in the end take all there are.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use reqwest::Url;

use super::client::{self, SetupError};
use crate::secret::Lookup;
use crate::settings::Settings;

/// To make a client takes about 10 ms, most of them for its root certificates: not worth it for fewer connections.
const FEW: usize = 64;

/// The client of now, and what is needed to make the next.
pub(super) struct Clients {
    settings: Arc<Settings>,
    secrets: Arc<Lookup>,
    now: Mutex<Now>,
    /// The one that keeps no connection, once it was needed; `None` in it: it cannot be made.
    closing: OnceLock<Option<reqwest::Client>>,
}

struct Now {
    client: reqwest::Client,
    /// It keeps connections for later requests.
    keeps: bool,
    /// Connections that were opened by it, whatever became of them. Each request that waits for its answer holds it too.
    opened: Arc<AtomicUsize>,
    /// Host and port that it was first used for.
    first: Option<(String, u16)>,
    /// It was used for others too: one host alone never has more connections than there are requests at once.
    several: bool,
    /// `opened` of the last one before it that kept connections: they are closed when its last request has its answer.
    before: Weak<AtomicUsize>,
}

impl Clients {
    pub(super) fn new(settings: Arc<Settings>, secrets: Arc<Lookup>) -> Result<Self, SetupError> {
        let now = Mutex::new(Now::with(client::client(&settings, &*secrets, settings.concurrency)?));
        Ok(Self { settings, secrets, now, closing: OnceLock::new() })
    }

    /// The client for a request to there, and where each connection that it opens is counted; to be held until the answer
    /// is there. After `most` connections to several hosts comes one that closes each after its request, and another that
    /// keeps them when those of the one before are gone.
    pub(super) fn of(&self, url: &Url, most: usize) -> (reqwest::Client, Arc<AtomicUsize>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.meets(url);
        // One that cannot be made any more, such as for want of the file of --cacert, leaves the one there is.
        if let Some(keeps) = now.turn(most)
            && let Some(client) = self.client(keeps)
        {
            let before = if now.keeps { Arc::downgrade(&now.opened) } else { Weak::new() };
            *now = Now { keeps, before, ..Now::with(client) };
            now.meets(url);
        }
        (now.client.clone(), now.opened.clone())
    }

    fn client(&self, keeps: bool) -> Option<reqwest::Client> {
        let with = |idle| client::client(&self.settings, &*self.secrets, idle).ok();
        if keeps { with(self.settings.concurrency) } else { self.closing.get_or_init(|| with(0)).clone() }
    }
}

impl Now {
    fn with(client: reqwest::Client) -> Self {
        Self { client, keeps: true, opened: Arc::default(), first: None, several: false, before: Weak::new() }
    }

    fn meets(&mut self, url: &Url) {
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        match &self.first {
            None => self.first = Some((host.to_owned(), port)),
            Some((first, at)) => self.several |= first != host || *at != port,
        }
    }

    /// Whether it is another client's turn, and if so whether that one keeps connections.
    fn turn(&mut self, most: usize) -> Option<bool> {
        let opened = self.opened.load(Ordering::Relaxed);
        if self.keeps {
            let waiting = Arc::strong_count(&self.opened) - 1; // each may still open one
            return (self.several && opened + waiting >= most).then_some(most >= FEW && waiting == 0);
        }
        if self.before.strong_count() > 0 {
            return None;
        }
        if most < FEW && opened >= FEW && self.several {
            (self.first, self.several) = (None, false); // there may be one host from here on
            self.opened.store(0, Ordering::Relaxed);
            return None;
        }
        (most >= FEW || opened >= FEW).then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(now: &mut Now, url: &str, opened: usize, most: usize) -> Option<bool> {
        now.meets(&url.parse().expect("a URL"));
        now.opened.store(opened, Ordering::Relaxed);
        now.turn(most)
    }

    #[test]
    fn only_the_connections_of_several_hosts_are_too_many() {
        let mut now = Now::with(reqwest::Client::new());
        let mut met = |url: &str, opened: usize| meets(&mut now, url, opened, 100);
        assert_eq!([met("http://x/a", 100), met("http://x:80/b", 999)], [None; 2], "one host");
        assert_eq!(
            [met("http://x:81/", 100), met("http://x/", 99)],
            [Some(true), None],
            "another port: another server"
        );
        assert_eq!(met("http://y/", 100), Some(true));
        let waiting = now.opened.clone();
        assert_eq!(
            meets(&mut now, "http://y/", 99, 100),
            Some(false),
            "one more may be opened, and the others stay till then"
        );
        drop(waiting);
        assert_eq!(meets(&mut now, "http://y/", 9, 9), Some(false), "too few for a client of their own");
    }

    #[test]
    fn connections_are_kept_again_when_those_before_are_gone_and_there_is_room_or_one_host() {
        let waiting = Arc::default();
        let before = Arc::downgrade(&waiting);
        let mut now = Now { keeps: false, before, ..Now::with(reqwest::Client::new()) };
        assert_eq!([meets(&mut now, "http://x/", 999, 100), meets(&mut now, "http://x/", 999, 1)], [None; 2]);
        drop(waiting);
        assert_eq!(meets(&mut now, "http://x/", 0, 100), Some(true), "room");
        assert_eq!(meets(&mut now, "http://y/", FEW - 1, 1), None);
        assert_eq!(meets(&mut now, "http://x/", FEW, 1), None, "several hosts");
        assert_eq!(
            [meets(&mut now, "http://x/", FEW - 1, 1), meets(&mut now, "http://x/", FEW, 1)],
            [None, Some(true)]
        );
    }
}
