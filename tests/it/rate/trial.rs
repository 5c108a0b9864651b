//! One trial: a server that counts, jobs for it, and the real program at its rate.

use std::collections::HashMap;
use std::time::Duration;

use haul::backoff::chance;
use haul::clock::Clock;
use haul::limit::Limit;

use super::busy::{self, Busy};
use super::figures::{Figures, Rate};
use super::way::Way;
use crate::resume::bench::Bench;
use crate::server::{Answer, Arrival, Asked, Model, Reply, Script, Server};

/// How often it is looked whether a trial has ended.
const LOOK: Duration = Duration::from_millis(5);

/// What is tried.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    /// What the server allows.
    pub(crate) rate: &'static str,
    /// How it counts.
    pub(crate) model: Model,
    /// How long the requests of all jobs take at this rate.
    pub(crate) lasts: Duration,
    /// The server takes from the first to the second, at random.
    pub(crate) latency_ms: (u64, u64),
    /// Each request takes up to this on its way.
    pub(crate) way: Option<Duration>,
    /// What the program is told beside the rate.
    pub(crate) args: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Tried {
    /// Jobs that were there.
    pub(crate) planned: usize,
    pub(crate) figures: Figures,
    /// Cores that were busy, with whatever, while it ran, and how many there are.
    pub(crate) busy: (f64, f64),
    /// Cores that the program itself had, from its start; 0 where it was restarted.
    pub(crate) had: f64,
    /// From the first to the last arrival.
    pub(crate) took_ns: u64,
    /// From the program's note that it sent a request to its arrival, at most: what J of the rule stands for. What a CPU that
    /// was elsewhere cost between permit and note comes on top.
    pub(crate) spread_ns: u64,
}

impl Trial {
    /// A server that answers at once, and no flags.
    pub(crate) fn new(rate: &'static str, model: Model, lasts: Duration) -> Self {
        Self { rate, model, lasts, latency_ms: (0, 0), way: None, args: Vec::new() }
    }

    pub(crate) fn args(self, args: &[&str]) -> Self {
        let more = args.iter().map(|arg| (*arg).to_owned());
        Self { args: self.args.iter().cloned().chain(more).collect(), ..self }
    }

    fn limit(&self) -> Limit {
        self.rate.parse().expect("a rate")
    }

    fn rate(&self) -> Rate {
        let limit = self.limit();
        Rate { permits: limit.permits as usize, window_ns: limit.window_us.unsigned_abs() * 1_000 }
    }

    /// Jobs for all of its time.
    fn jobs(&self) -> usize {
        let rate = self.rate();
        (self.lasts.as_nanos() as f64 * rate.permits as f64 / rate.window_ns as f64).round() as usize
    }

    fn server(&self) -> Server {
        let rate = self.rate();
        let (from_ms, to_ms) = self.latency_ms;
        let decide = move |asked: &Asked| -> Reply {
            let answer = Reply::from(Answer::json(format!(r#"{{"key":{:?}}}"#, asked.key)));
            if to_ms == 0 {
                return answer;
            }
            let spread = chance(from_ms, asked.key.parse().unwrap_or(0), asked.nth) * (to_ms - from_ms) as f64;
            Reply::After(Duration::from_micros(from_ms * 1_000 + (spread * 1_000.0) as u64), Box::new(answer))
        };
        let window = Duration::from_nanos(rate.window_ns);
        Server::start(Script::new(decide).counting(self.model, rate.permits, window).goes_first())
    }

    /// A database with all jobs, and the way to the server.
    fn set_up(&self, server: &Server) -> (Bench, Option<Way>) {
        let way = self.way.map(|longest| Way::start(server.address(), longest));
        let url = way.as_ref().map_or_else(|| server.url(), Way::url);
        let keys: Vec<_> = (0..self.jobs()).map(|n| format!("{n:06}")).collect();
        let bench = Bench::empty();
        bench.import_at(&url, &keys);
        (bench, way)
    }

    fn command(&self) -> Vec<&str> {
        // A rate among the flags stands beside the one the server counts.
        let rate = ["run", "--progress", "none", "--rate", self.rate];
        rate.into_iter().chain(self.args.iter().map(String::as_str)).collect()
    }

    /// Runs the program until all jobs have arrived, it has ended, or it is far too late.
    pub(crate) fn run(&self) -> Tried {
        let server = self.server();
        let (bench, _way) = self.set_up(&server);
        let jobs = self.jobs();
        let began_ns = server.now_ns();
        let ends_ns = began_ns + 2 * self.lasts.as_nanos() as u64 + 30_000_000_000;
        let mut run = bench.start(&self.command());
        let mut busy = None;
        while server.total() - server.refused() < jobs as u64 && server.now_ns() < ends_ns && run.runs() {
            if busy.is_none() && server.total() > 0 {
                busy = Some(Busy::begin());
            }
            std::thread::sleep(LOOK);
        }
        let busy = busy.map_or((0.0, 0.0), |busy| busy.end());
        let had = busy::seconds_of(run.id()) / ((server.now_ns() - began_ns) as f64 / 1e9);
        // Whether it ends well is for other tests; a saturated one has minutes of work left.
        run.kill();
        self.tried(&server, &bench, busy, had, began_ns)
    }

    /// Runs the program again and again, killed each time so long after its start, for the time that it lasts.
    pub(crate) fn run_restarted(&self, each: Duration) -> Tried {
        let server = self.server();
        let (bench, _way) = self.set_up(&server);
        let began_ns = server.now_ns();
        // Not `resume`: a life that ends before its run has begun leaves no rate to go on with.
        let args = self.command();
        let busy = Busy::begin();
        while server.now_ns() < began_ns + self.lasts.as_nanos() as u64 {
            let started_ns = server.now_ns();
            let run = bench.start(&args);
            std::thread::sleep(each.saturating_sub(Duration::from_nanos(server.now_ns() - started_ns)));
            run.kill();
        }
        self.tried(&server, &bench, busy.end(), 0.0, began_ns)
    }

    fn tried(&self, server: &Server, bench: &Bench, busy: (f64, f64), had: f64, began_ns: u64) -> Tried {
        let arrivals = server.arrivals();
        let took_ns = arrivals.last().map_or(0, |last| last.at_ns - arrivals[0].at_ns);
        let spread_ns = widest_spread_ns(server, bench, &arrivals);
        Tried {
            planned: self.jobs(),
            figures: Figures::of(&arrivals, self.rate(), began_ns),
            busy,
            had,
            took_ns,
            spread_ns,
        }
    }
}

/// Over the jobs whose last request was answered and committed.
fn widest_spread_ns(server: &Server, bench: &Bench, arrivals: &[Arrival]) -> u64 {
    let (now_us, now_ns) = (Clock::start().now_us(), server.now_ns());
    let sent: Vec<(String, i64)> = bench.rows(
        "SELECT key, started_at_us FROM attempts JOIN jobs ON id = job_id WHERE attempt = attempts AND fetch_us IS NOT NULL",
    );
    let last: HashMap<&str, u64> = arrivals.iter().map(|arrival| (arrival.key.as_str(), arrival.at_ns)).collect();
    let spread = |(key, sent_us): &(String, i64)| {
        let sent_ns = now_ns.saturating_sub((now_us - sent_us).unsigned_abs() * 1_000);
        last.get(key.as_str()).map(|at_ns| at_ns.saturating_sub(sent_ns))
    };
    sent.iter().filter_map(spread).max().unwrap_or(0)
}
