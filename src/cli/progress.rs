//! How a run goes, on stderr: a bar on a terminal, a plain line every ten seconds off it, or an object a second.

pub(crate) mod bar;
mod line;
mod pace;
mod view;
mod waiting;

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use haul::clock::{Clock, Micros, SECOND_US, span};
use haul::job::State;
use haul::limit::{Limit, Wait};
use haul::progress::{Pause, RunEvent, Tally, count};
use haul::store::{Counts, Stall};

use self::bar::Looks;
use self::pace::Pace;
use super::terminal::visible;

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Style {
    /// A bar on a terminal, plain lines off it.
    #[default]
    Auto,
    /// A bar.
    Bar,
    /// A line every ten seconds.
    Plain,
    /// An object every second.
    Json,
    /// Nothing.
    None,
}

/// Shows how a run goes.
pub(crate) struct Progress {
    state: Arc<Mutex<Shown>>,
    ticker: Option<tokio::task::JoinHandle<()>>,
    clock: Clock,
    quiet: bool,
    /// Whoever reads objects gets no other lines.
    json: bool,
}

/// What is known.
#[derive(Debug, Default)]
struct Shown {
    total: u64,
    done_before: u64,
    /// Jobs as they stand, those of earlier runs included.
    counts: Counts,
    in_flight: usize,
    tally: Tally,
    pace: Pace,
    limits: Vec<Limit>,
    paused_until_us: Micros,
    paused_by: &'static str,
    /// Another terminal has it send nothing.
    held: bool,
    waits: Option<Wait>,
    /// What keeps the run from writing, and since when.
    stalled: Option<(&'static str, Micros)>,
    /// Processing needs more cores than there are.
    short: Option<String>,
    over: bool,
    /// Only jobs whose response is stored are to be done.
    stored: bool,
}

impl Progress {
    /// Shows nothing until the run has begun.
    pub(crate) fn start(style: Style, quiet: bool, limits: &[Limit], clock: Clock) -> Self {
        let terminal = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let style = match style {
            _ if quiet => Style::None,
            Style::Auto if terminal => Style::Bar,
            Style::Auto => Style::Plain,
            chosen => chosen,
        };
        let state = Arc::new(Mutex::new(Shown { limits: limits.to_vec(), ..Shown::default() }));
        let looks = Looks::of_stderr();
        let every = match style {
            Style::Plain => Some(Duration::from_secs(10)),
            Style::Json => Some(Duration::from_secs(1)),
            Style::Bar => Some(Duration::from_millis(200)),
            Style::Auto | Style::None => None,
        };
        let ticker = every.map(|every| {
            let state = state.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(every).await;
                    let mut shown = state.lock().unwrap_or_else(PoisonError::into_inner);
                    match style {
                        _ if shown.over => return,
                        Style::Bar => {
                            bar::draw(looks, |room| shown.lines(clock.now_us(), looks.unicode, room));
                        }
                        Style::Json => say(&shown.json(clock.now_us()).to_string()),
                        _ => say(&shown.line(clock.now_us())),
                    }
                }
            })
        });
        Self { state, ticker, clock, quiet, json: style == Style::Json }
    }

    /// Of a run that sends nothing.
    pub(crate) fn of_stored(self) -> Self {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stored = true;
        self
    }

    /// Takes note of what a run tells.
    pub(crate) fn event(&self, event: &RunEvent<'_>) {
        let mut shown = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            RunEvent::Began { counts, interrupted, poisoned } => {
                shown.total = counts.values().sum::<u64>() - count(counts, Some(State::Cancelled), None);
                shown.done_before =
                    count(counts, Some(State::Succeeded), None) + count(counts, Some(State::Failed), None);
                if shown.stored {
                    (shown.total, shown.done_before) = (count(counts, Some(State::Fetched), None), 0);
                }
                shown.counts = Counts::clone(counts);
                shown.pace = Pace::begin(self.clock.now_us());
                let again = match shown.stored {
                    true => "processed again, one at a time: they were taken up",
                    false => "sent again, which were in flight",
                };
                drop(shown);
                if *interrupted > 0 {
                    self.note(&format!("resuming after a crash: 0 lost, at most {interrupted} {again}"));
                }
                if *poisoned > 0 {
                    self.note(&format!("{poisoned} jobs killed the process three times each and are failed as poison"));
                }
            }
            RunEvent::Committed(tally) => {
                shown.tally = Tally::clone(tally);
            }
            RunEvent::Stands { counts, in_flight } => {
                shown.counts = Counts::clone(counts);
                shown.in_flight = *in_flight;
                if !shown.stored {
                    // Others may import jobs, bring some back and cancel some while it goes.
                    shown.total = counts.values().sum::<u64>() - count(counts, Some(State::Cancelled), None);
                    let done = count(counts, Some(State::Succeeded), None) + count(counts, Some(State::Failed), None);
                    shown.done_before = done.saturating_sub(shown.tally.done());
                }
            }
            RunEvent::Paused { until_us, why } => {
                shown.paused_until_us = *until_us;
                shown.paused_by = match why {
                    Pause::Refused => "paused by the server for",
                    Pause::Trouble => "the server is in trouble, next probe in",
                    Pause::Rebooted => "the machine was booted anew, waiting for",
                };
            }
            RunEvent::Waits(wait) => shown.waits = Some(Wait::clone(wait)),
            RunEvent::Held(held) => {
                shown.held = *held;
                drop(shown);
                self.note(match held {
                    true => "another terminal paused it: nothing is sent until `unpause`",
                    false => "another terminal has it go on",
                });
            }
            RunEvent::Relimited { limits } => {
                shown.waits = None;
                shown.limits = limits.to_vec();
                drop(shown);
                let names: Vec<_> = limits.iter().map(|limit| visible(&limit.name)).collect();
                let names = if names.is_empty() { "no limit".to_owned() } else { names.join(" + ") };
                self.note(&format!("another terminal changed the rate: {names} from now on"));
            }
            RunEvent::Left(left) => {
                drop(shown);
                self.note(&waiting::left(left, self.clock.now_us()));
            }
            RunEvent::Widened { limits } => {
                let names: Vec<_> = limits.iter().map(|limit| limit.name.as_str()).collect();
                drop(shown);
                self.note(&format!(
                    "the server refused a request although {} was kept: from now on requests are strictly even, and a \
                     little fewer (it may count otherwise; --rate changes it)",
                    names.join(" + ")
                ));
            }
            RunEvent::WallClock(clock) => {
                let step_us = clock.step_us();
                let way = if step_us > 0 { "forward" } else { "back" };
                let step = humantime::format_duration(span(step_us.abs() / 1_000_000 * 1_000_000));
                drop(shown);
                self.note(&format!(
                    "the wall clock was set {way} by {step} since the last run; its permits moved along"
                ));
            }
            RunEvent::Stalled { stall, since_us, until_us, in_flight } => {
                let word = match stall {
                    Stall::Locked { .. } => "database locked by another process for",
                    Stall::Away { .. } => "no answer of the database for",
                    _ => "disk full for",
                };
                let new = shown.stalled.replace((word, *since_us)).is_none();
                drop(shown);
                if new {
                    let wait = whole_seconds(until_us - self.clock.now_us());
                    self.note(&format!(
                        "{}: nothing more is sent, and what the {in_flight} jobs in flight bring is kept and tried again, \
                         for at most {wait}",
                        visible(&stall.to_string())
                    ));
                }
            }
            RunEvent::GoesOn { after_us } => {
                shown.stalled = None;
                drop(shown);
                self.note(&format!("the database can be written again, after {}; going on", whole_seconds(*after_us)));
            }
            RunEvent::LogGrows { bytes } => {
                drop(shown);
                self.note(&format!(
                    "warning: the write-ahead log has grown to {} MiB: another process reads the database for long, \
                     which keeps the log from being emptied; end it before the disk is full",
                    bytes >> 20
                ));
            }
            RunEvent::FewFiles { files, asked, concurrency } => {
                drop(shown);
                self.note(&format!(
                    "warning: this process may have only {files} files open: at most {concurrency} requests are in \
                     flight, not {asked}; `ulimit -n` raises that"
                ));
            }
            RunEvent::Processing(change) => {
                shown.short = change.as_ref().map(ToString::to_string);
                drop(shown);
                self.note(&change.map_or_else(
                    || "there is CPU enough for processing again".to_owned(),
                    |shortage| shortage.to_string(),
                ));
            }
            RunEvent::Hopeless(reason) => {
                drop(shown);
                self.note(&format!("giving up: {}", visible(&reason.to_string())));
            }
            RunEvent::Draining { in_flight, until_us } => {
                let wait = span((until_us - self.clock.now_us()).max(0));
                let wait = humantime::format_duration(Duration::from_secs(wait.as_secs()));
                let what = if shown.stored { "taken up may be processed" } else { "in flight may land" };
                drop(shown);
                self.note(&format!("stopping: {in_flight} {what}, for at most {wait}; once more leaves now"));
            }
            _ => {}
        }
    }

    /// A message above the bar.
    fn note(&self, text: &str) {
        match (self.quiet, self.json) {
            (true, _) => {}
            (false, true) => say(&serde_json::json!({ "note": text }).to_string()),
            (false, false) => bar::above(|| say(text)),
        }
    }

    /// Takes the display away.
    pub(crate) fn finish(&self) {
        if let Some(ticker) = &self.ticker {
            ticker.abort();
        }
        // A drawing may be waiting for its turn right now; none may come after the clearing.
        let mut shown = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = !std::mem::replace(&mut shown.over, true);
        if first && self.json && !self.quiet {
            say(&shown.json(self.clock.now_us()).to_string()); // how it stands at the end
        }
        drop(shown);
        bar::clear();
    }
}

fn whole_seconds(us: Micros) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(span(us + SECOND_US - 1).as_secs()))
}

/// Where stderr is closed the run goes on unseen.
fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

impl Shown {
    fn done(&self) -> u64 {
        self.done_before + self.tally.done()
    }
}
