//! The demo's API: numbers over HTTP on loopback, strictly limited, and honest about who kept to the limit.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use haul::clock::{Clock, Micros, SECOND_US, micros};
use serde::Serialize;
use tokio::net::TcpListener;

use self::log::SlidingLog;

mod log;

/// What the API is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config {
    /// At most so many requests ..
    pub(crate) permits: usize,
    /// .. in any half-open window of this length; what exceeds it is refused with 429, and counts all the same.
    pub(crate) window: Duration,
    /// An answer takes this long on average; between three and five quarters of it, always the same for the same id.
    pub(crate) latency: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { permits: 20, window: Duration::from_secs(1), latency: Duration::from_millis(80) }
    }
}

/// What the API saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Stats {
    /// Requests for numbers.
    pub(crate) total: u64,
    /// Of these, answered.
    pub(crate) answered: u64,
    /// Of these, refused as too many.
    pub(crate) refused: u64,
    /// Most that arrived in any half-open window.
    pub(crate) most_in_window: usize,
    /// How many may.
    pub(crate) limit: usize,
}

struct Api {
    config: Config,
    clock: Clock,
    seen: Mutex<Seen>,
}

struct Seen {
    log: SlidingLog,
    stats: Stats,
}

/// Serves `GET /numbers/{id}` and `GET /stats` until the shutdown is ready and the last answer is sent, and tells what it saw.
pub(crate) async fn serve(
    listener: TcpListener,
    config: Config,
    clock: Clock,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Stats> {
    let stats = Stats { limit: config.permits, ..Stats::default() };
    let log = SlidingLog::new(config.permits, micros(config.window));
    let api = Arc::new(Api { config, clock, seen: Mutex::new(Seen { log, stats }) });
    let router = Router::new()
        .route("/numbers/{id}", get(numbers))
        .route("/stats", get(stats_page))
        .with_state(Arc::clone(&api));
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await?;
    Ok(api.stats())
}

impl Api {
    /// Notes an arrival; where it is one too many, says how long to wait.
    fn arrive(&self) -> Result<(), Micros> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: the log takes arrivals in their order.
        let admitted = seen.log.arrive(self.clock.now_us());
        seen.stats.total += 1;
        seen.stats.most_in_window = seen.log.most();
        match admitted {
            Ok(()) => seen.stats.answered += 1,
            Err(_) => seen.stats.refused += 1,
        }
        admitted
    }

    fn stats(&self) -> Stats {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).stats
    }
}

async fn numbers(State(api): State<Arc<Api>>, Path(id): Path<u64>) -> Response {
    if let Err(wait_us) = api.arrive() {
        return refusal(wait_us);
    }
    tokio::time::sleep(latency(api.config.latency, id)).await;
    json(body(id))
}

async fn stats_page(State(api): State<Arc<Api>>) -> Response {
    match serde_json::to_string(&api.stats()) {
        Ok(stats) => json(stats),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn refusal(wait_us: Micros) -> Response {
    // Whole seconds are all that Retry-After can say; one too few would be refused again.
    let seconds = ((wait_us + SECOND_US - 1) / SECOND_US).max(1).to_string();
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], "too many requests\n").into_response()
}

/// Spreads ids evenly and for ever the same (the finalizer of MurmurHash3).
fn scatter(id: u64) -> u64 {
    let id = (id ^ id >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let id = (id ^ id >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    id ^ id >> 33
}

fn latency(average: Duration, id: u64) -> Duration {
    let share = 75 + scatter(id) % 51; // percent, 75 to 125
    average * u32::try_from(share).unwrap_or(100) / 100
}

/// About 200 bytes.
fn body(id: u64) -> String {
    let numbers: Vec<u64> = (0..24).map(|n| scatter(id.wrapping_mul(24).wrapping_add(n)) % 100_000).collect();
    format!(r#"{{"id":{id},"below":10000,"numbers":{numbers:?}}}"#)
}

#[cfg(test)]
mod tests;
