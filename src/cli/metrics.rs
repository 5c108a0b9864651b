//! `--metrics`: what goes on, as Prometheus reads it, in a file or at an address.

mod file;
mod serve;
mod text;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use haul::clock::Clock;
use haul::progress::{RunEvent, Tally};
use haul::report::Overview;
use haul::store::StoreError;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::file::Replaced;
use super::database::overview;
use super::exit::UsageError;

/// Between two looks at the database.
const EVERY: Duration = Duration::from_secs(3);

/// Where the numbers go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    /// A file that is replaced every few seconds.
    File(PathBuf),
    /// Whoever asks for `/metrics` there.
    Address(SocketAddr),
}

/// Reads the value of the flag: what looks like an address is one.
pub(crate) fn to(text: &str) -> Result<To, String> {
    if let Ok(address) = text.parse() {
        return Ok(To::Address(address));
    }
    let port = text.strip_prefix("localhost:").map(str::parse);
    match (port, text.rsplit_once(':')) {
        (Some(Ok(port)), _) => Ok(To::Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))),
        (Some(Err(_)), _) => Err("the port is no number below 65536; write 127.0.0.1:9464".to_owned()),
        (None, Some((_, port))) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            Err("write an IP address and a port, 127.0.0.1:9464, or the name of a file".to_owned())
        }
        _ if text == "-" => {
            Err("standard output is for the summary; write the name of a file, or an address: 127.0.0.1:9464"
                .to_owned())
        }
        _ if text.is_empty() => Err("write the name of a file, or an address: 127.0.0.1:9464".to_owned()),
        _ => Ok(To::File(text.into())),
    }
}

/// Where it is told, or nowhere. It is taken before anything is imported or sent, so an address that cannot be had and a file
/// that cannot be written cost nothing.
pub(crate) struct Place(Option<Out>);

impl Place {
    /// Takes it.
    pub(crate) async fn take(to: Option<To>, db: &Path) -> Result<Self, UsageError> {
        Ok(Self(match to {
            Some(to) => Some(Out::open(to, db).await?),
            None => None,
        }))
    }
}

/// Tells how a run goes.
pub(crate) struct Metrics {
    tally: Arc<Mutex<Tally>>,
    task: Mutex<Option<(watch::Sender<bool>, JoinHandle<()>)>>,
}

impl Metrics {
    /// Begins to tell, where somebody is to be told.
    pub(crate) async fn begin(Place(out): Place, db: &Path, clock: Clock, quiet: bool) -> anyhow::Result<Self> {
        let tally = Arc::<Mutex<Tally>>::default();
        let Some(out) = out else { return Ok(Self { tally, task: Mutex::default() }) };
        let (stop, stopped) = watch::channel(false);
        let mut writer = Writer { db: db.to_owned(), clock, tally: tally.clone(), out };
        writer.write().await.map_err(|e| UsageError(format!("--metrics: {e}")))?;
        if let Some(address) = writer.out.address().filter(|_| !quiet) {
            // Where stderr is closed there is nobody to tell.
            _ = writeln!(anstream::stderr(), "metrics at http://{address}/metrics");
        }
        let task = tokio::spawn(writer.keep_writing(stopped));
        Ok(Self { tally, task: Mutex::new(Some((stop, task))) })
    }

    /// Takes note of what a run tells.
    pub(crate) fn event(&self, event: &RunEvent<'_>) {
        if let RunEvent::Committed(tally) = event
            && self.task.lock().unwrap_or_else(PoisonError::into_inner).is_some()
        {
            Tally::clone_from(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner), tally);
        }
    }

    /// Tells how it ended, and ends. A file stays.
    pub(crate) async fn finish(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, task)) = task {
            // Whoever is gone has nothing to end.
            _ = stop.send(true);
            _ = task.await;
        }
    }
}

/// Where it is written.
enum Out {
    File(Replaced),
    Page { page: watch::Sender<String>, address: SocketAddr, server: JoinHandle<()> },
}

impl Out {
    async fn open(to: To, db: &Path) -> Result<Self, UsageError> {
        match to {
            To::Address(address) => {
                let refused =
                    |e| UsageError(format!("--metrics: failed to listen on {address}: {e}; name another port"));
                let listener = TcpListener::bind(address).await.map_err(refused)?;
                let address = listener.local_addr().map_err(refused)?;
                let (page, read) = watch::channel(String::new());
                Ok(Self::Page { page, address, server: tokio::spawn(serve::serve(listener, read)) })
            }
            To::File(to) => Ok(Self::File(Replaced::at(&to, db)?)),
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        if let Self::Page { address, .. } = self { Some(*address) } else { None }
    }

    fn put(&self, text: String) -> Result<(), String> {
        match self {
            Self::Page { page, .. } => {
                page.send_replace(text);
                Ok(())
            }
            Self::File(file) => file.put(&text),
        }
    }
}

struct Writer {
    db: PathBuf,
    clock: Clock,
    tally: Arc<Mutex<Tally>>,
    out: Out,
}

impl Writer {
    async fn keep_writing(mut self, mut stopped: watch::Receiver<bool>) {
        let mut told = false;
        loop {
            // Only what waits is broken off, never a look at the database.
            let last = tokio::select! {
                () = tokio::time::sleep(EVERY) => false,
                _ = stopped.changed() => true,
            };
            if let Err(why) = self.write().await
                && !std::mem::replace(&mut told, true)
            {
                tracing::warn!(why, "the metrics are not up to date; the run goes on");
            }
            if last {
                break;
            }
        }
        if let Out::Page { server, .. } = self.out {
            server.abort();
        }
    }

    async fn write(&mut self) -> Result<(), String> {
        let seen = self.look().await.map_err(|e| e.to_string())?;
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.out.put(text::page(&seen, &tally))
    }

    async fn look(&self) -> Result<Overview, StoreError> {
        overview(&self.db, self.clock).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_an_address_is_one_and_all_else_a_file() {
        let local = |port| Ok(To::Address(SocketAddr::from(([127, 0, 0, 1], port))));
        assert_eq!((to("127.0.0.1:9464"), to("localhost:1")), (local(9464), local(1)));
        assert_eq!(to("[::1]:80"), Ok(To::Address("[::1]:80".parse().expect("an address"))));
        assert_eq!(to("haul.prom"), Ok(To::File("haul.prom".into())));
        for wrong in ["", "-", ":9464", "example.com:80", "localhost:99999"] {
            assert!(to(wrong).is_err(), "{wrong}");
        }
    }
}
