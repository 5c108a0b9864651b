//! A part of 1a: what was sent before a kill is written down, and counts. An even pace hides that where many requests fit into a
//! window; here only two do, and each life sends the first that it may.

use std::time::Duration;

use haul::clock::{Clock, micros};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::checker::max_window;
use crate::resume::bench::{Bench, done, until};
use crate::row::Figures;
use crate::server::{Script, Server};

const LIVES: usize = 12;
const PERMITS: usize = 2;
const WINDOW: Duration = Duration::from_secs(2);
const RATE: &[&str] = &["run", "--rate", "2/2s", "--jitter", "150ms"];
/// A life that has no permit ends so soon; else with its first request.
const LIFE: Duration = Duration::from_millis(500);

/// Seen failing with a recovery that finds no `spends`. The control is a database whose `spends` are emptied after each kill.
pub(crate) fn tried(figures: &mut Figures) {
    let (kept, emptied) = (most(false), most(true));
    figures.note("few_permits_most", kept);
    figures.note("few_permits_forgotten_most", emptied);
    assert!(kept <= PERMITS, "{kept} requests in a window: a start does not count what was sent before it");
    assert!(emptied > PERMITS, "a control: where permits are forgotten that is seen");
}

/// Most requests in a window, over all lives.
fn most(forget: bool) -> usize {
    let server = Server::start(Script::ok().latency(Duration::from_millis(20)).goes_first());
    let bench = Bench::with_jobs(&server, LIVES * 4);
    let clock = Clock::start();
    for _ in 0..LIVES {
        let (before, ends_us) = (server.total(), clock.now_us() + micros(LIFE));
        let run = bench.start(RATE);
        until("it has sent one, or has no permit", || {
            // One that forgets has always a permit: on a busy machine it may take a while to begin.
            server.total() > before || !forget && clock.now_us() > ends_us
        });
        run.kill();
        if forget {
            done(async {
                let options = SqliteConnectOptions::new().filename(bench.db());
                let mut connection = options.connect().await.expect("a database");
                sqlx::query("DELETE FROM spends").execute(&mut connection).await.expect("forgotten");
                connection.close().await.expect("closed");
            });
        }
    }
    max_window(server.arrivals().iter().map(|arrival| arrival.at_ns), WINDOW.as_nanos() as u64)
}
