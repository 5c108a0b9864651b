//! A server that does as its script says and logs what arrives. It runs on a thread and a runtime of its own within the test
//! process, so it outlives every child that a test kills.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::oneshot;

mod connection;
mod script;
#[cfg(test)]
mod tests;

pub(crate) use script::{Answer, Asked, Gate, Reply, Script};

/// A request that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The query parameter `k`, else the last segment of the path.
    pub(crate) key: String,
    /// Its `Idempotency-Key`.
    pub(crate) idempotency_key: Option<String>,
    /// When its head was read completely, in nanoseconds since the server began.
    pub(crate) at_ns: u64,
    /// The status it was answered with; none yet, or none ever.
    pub(crate) status: Option<u16>,
    /// Whether its whole answer was sent, as far as one can know: the client was still there when it began.
    pub(crate) answered: bool,
}

/// A running server. Ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What every connection knows.
struct Shared {
    script: Script,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    arrivals: Vec<Arrival>,
    times: HashMap<String, u32>,
    in_window: VecDeque<u64>,
    total: u64,
    unanswered: u64,
}

/// What an arrival turned out to be.
struct Admission {
    /// Its place in the log, where there is one.
    entry: Option<usize>,
    /// The how many-th of its key, from 1; always 1 without a log.
    nth: u32,
    /// How long it should have waited, where it is one too many.
    excess: Option<Duration>,
}

#[expect(clippy::disallowed_methods, reason = "the server measures real arrivals, in finer steps than haul's clock")]
fn now() -> Instant {
    Instant::now()
}

impl Server {
    /// Starts on a free port of loopback.
    pub(crate) fn start(script: Script) -> Self {
        let shared = Arc::new(Shared { script, began: now(), state: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                tell.send(listener.local_addr().expect("an address")).expect("the test waits for it");
                tokio::select! {
                    () = accept(listener, served) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = told.recv().expect("the server starts");
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Its root, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What arrived so far, in order of arrival; empty where nothing is logged.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.shared.state().arrivals.clone()
    }

    /// How many requests arrived so far, logged or not.
    pub(crate) fn total(&self) -> u64 {
        self.shared.state().total
    }

    /// How many requests are waiting for their answer right now: those a kill would find in flight.
    pub(crate) fn unanswered(&self) -> u64 {
        self.shared.state().unanswered
    }

    /// Nanoseconds since the server began, on the clock of [`Arrival::at_ns`].
    pub(crate) fn now_ns(&self) -> u64 {
        self.shared.now_ns()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            _ = thread.join(); // a panic in it was printed, and the test has failed or does not care
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // An error here is a client that was gone before it was accepted, or a lack of file descriptors that passes.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        _ = stream.set_nodelay(true);
        tokio::spawn(connection::serve(stream, Arc::clone(&shared)));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(now().duration_since(self.began).as_nanos()).expect("less than 584 years")
    }

    /// Notes an arrival. The time is read under the lock, so the log is in order.
    fn arrive(&self, key: &str, idempotency_key: Option<&str>) -> Admission {
        let mut state = self.state();
        let at_ns = self.now_ns();
        state.total += 1;
        state.unanswered += 1;
        let excess = self.script.limit.and_then(|(permits, window)| state.excess(permits, window, at_ns));
        if !self.script.log {
            return Admission { entry: None, nth: 1, excess };
        }
        let times = state.times.entry(key.to_owned()).or_default();
        *times += 1;
        let nth = *times;
        let (key, idempotency_key) = (key.to_owned(), idempotency_key.map(str::to_owned));
        state.arrivals.push(Arrival { key, idempotency_key, at_ns, status: None, answered: false });
        Admission { entry: Some(state.arrivals.len() - 1), nth, excess }
    }

    /// Notes what is about to be sent: a status, if any, and whether a whole answer.
    fn done(&self, entry: Option<usize>, status: Option<u16>, answered: bool) {
        let mut state = self.state();
        state.unanswered -= 1;
        if let Some(arrival) = entry.and_then(|entry| state.arrivals.get_mut(entry)) {
            arrival.status = status;
            arrival.answered = answered;
        }
    }

    /// Notes that it could not be sent.
    fn broke(&self, entry: Option<usize>) {
        let mut state = self.state();
        if let Some(arrival) = entry.and_then(|entry| state.arrivals.get_mut(entry)) {
            arrival.status = None;
            arrival.answered = false;
        }
    }
}

impl State {
    /// A sliding log in which every arrival counts: how long this one should have waited, where it is one too many in the
    /// half-open window that ends with it.
    fn excess(&mut self, permits: usize, window: Duration, at_ns: u64) -> Option<Duration> {
        let window_ns = u64::try_from(window.as_nanos()).expect("a window of less than 584 years");
        while self.in_window.front().is_some_and(|first| first + window_ns <= at_ns) {
            self.in_window.pop_front();
        }
        self.in_window.push_back(at_ns);
        let excess = self.in_window.len().checked_sub(permits + 1)?;
        let last_to_leave = self.in_window.get(excess + 1).copied().unwrap_or(at_ns);
        Some(Duration::from_nanos(last_to_leave + window_ns - at_ns))
    }
}
