//! A server that does as its script says and logs what arrives. It runs on a thread and a runtime of its own within the test
//! process, so it outlives every child that a test kills.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use model::Limiter;

mod connection;
mod model;
mod script;
#[cfg(test)]
mod tests;

pub(crate) use model::Model;
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
    limiter: Option<Limiter>,
    total: u64,
    refused: u64,
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
        let limiter = script.limit.map(|(model, permits, window)| Limiter::new(model, permits, window));
        let state = Mutex::new(State { limiter, ..State::default() });
        let shared = Arc::new(Shared { script, began: now(), state });
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            if served.script.goes_first {
                go_first();
            }
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

    /// How many requests the limit refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.shared.state().refused
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

/// Lets this thread run before all others of this machine, where the system permits it. The server then tells when requests
/// arrived, as one on another machine would, and not when a busy client left it a CPU.
pub(crate) fn go_first() {
    // The last part of `PID/task/TID`. `renice` takes a thread where it names a process.
    let Ok(task) = std::fs::read_link("/proc/thread-self") else { return };
    if let Some(thread) = task.file_name() {
        _ = Command::new("renice").args(["-n", "-15", "-p"]).arg(thread).output(); // without the right it goes on as it is
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
        let excess = state.limiter.as_mut().and_then(|limiter| limiter.arrive(at_ns).err()).map(Duration::from_nanos);
        state.refused += u64::from(excess.is_some());
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
