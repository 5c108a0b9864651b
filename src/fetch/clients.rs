//! One client after the other. A client keeps connections that nobody uses for the next request to their host, and each takes a
//! file: where every request goes to another host they would in the end take all there are.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;

use super::client::{self, SetupError};
use crate::secret::Lookup;
use crate::settings::Settings;

/// The client of now, and what is needed to make the next.
pub(super) struct Clients {
    settings: Arc<Settings>,
    secrets: Arc<Lookup>,
    now: Mutex<Now>,
}

struct Now {
    client: reqwest::Client,
    /// Connections that were opened by it, whatever became of them.
    opened: Arc<AtomicUsize>,
    /// Host and port that it was first used for.
    first: Option<(String, u16)>,
    /// It was used for others too: one host alone never has more connections than there are requests at once.
    several: bool,
}

impl Clients {
    pub(super) fn new(settings: Arc<Settings>, secrets: Arc<Lookup>) -> Result<Self, SetupError> {
        let now = Mutex::new(Now::with(client::client(&settings, &*secrets)?));
        Ok(Self { settings, secrets, now })
    }

    /// The client for a request to there, and where each connection that it opens is counted. After `most` of them comes
    /// another client; the one before closes its idle connections when its last request has its answer.
    pub(super) fn of(&self, url: &Url, most: usize) -> (reqwest::Client, Arc<AtomicUsize>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.meets(url);
        // One that cannot be made any more, such as for want of the file of --cacert, leaves the one there is.
        if now.is_full(most)
            && let Ok(client) = client::client(&self.settings, &*self.secrets)
        {
            *now = Now::with(client);
            now.meets(url);
        }
        (now.client.clone(), now.opened.clone())
    }
}

impl Now {
    fn with(client: reqwest::Client) -> Self {
        Self { client, opened: Arc::default(), first: None, several: false }
    }

    fn meets(&mut self, url: &Url) {
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        match &self.first {
            None => self.first = Some((host.to_owned(), port)),
            Some((first, at)) => self.several |= first != host || *at != port,
        }
    }

    fn is_full(&self, most: usize) -> bool {
        self.several && self.opened.load(Ordering::Relaxed) >= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_connections_of_several_hosts_are_too_many() {
        let mut now = Now::with(reqwest::Client::new());
        let mut met = |url: &str, opened: usize| {
            now.meets(&url.parse().expect("a URL"));
            now.opened.store(opened, Ordering::Relaxed);
            now.is_full(10)
        };
        assert!(!met("http://x/a", 10) && !met("http://x:80/b", 99), "one host");
        assert!(met("http://x:81/", 10) && !met("http://x/", 9), "another port is another server");
        assert!(met("http://y/", 10));
    }
}
