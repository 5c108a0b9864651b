//! What a run tells of itself while it goes: events out of the machinery. Drawing them is somebody else's work.

use std::collections::BTreeMap;

use crate::attempt::{ErrorType, Measured};
use crate::clock::Micros;
use crate::job::{Event, Next, State};
use crate::limit::capacity::Shortage;
use crate::limit::{Left, Limit, Wait};
use crate::minutes::{self, Minutes};
use crate::reason::Reason;
use crate::store::{Counts, Stall, WallClock};

/// Something a run tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunEvent<'a> {
    /// It holds the database and has recovered what an earlier run left.
    Began {
        /// Jobs as they stand.
        counts: &'a Counts,
        /// Jobs that were in flight when an earlier run died.
        interrupted: u64,
        /// Jobs given up as poison.
        poisoned: u64,
    },
    /// A batch of outcomes is durable.
    Committed(&'a Tally),
    /// How things stand, a few times a second.
    Stands {
        /// Jobs as they stand, whoever brought them there.
        counts: &'a Counts,
        /// Jobs between claim and commit.
        in_flight: usize,
    },
    /// Nothing is sent before this time.
    Paused {
        /// Until when.
        until_us: Micros,
        /// Why.
        why: Pause,
    },
    /// The server refused a request although every limit was kept: from now on, in later runs too, the pace is strictly even
    /// and a little slower.
    Widened {
        /// The limits, with the spread that is allowed for now.
        limits: &'a [Limit],
    },
    /// Nothing is sent for long, because of a limit or because the server asked for it.
    Waits(&'a Wait),
    /// At its start, or where its limits have changed: what is left of a limit with a long window.
    Left(&'a Left),
    /// Another terminal has it send nothing until that is taken back (`true`), or has taken it back.
    Held(bool),
    /// Another terminal has changed its limits; none = as fast as the server answers.
    Relimited {
        /// The limits from now on.
        limits: &'a [Limit],
    },
    /// The wall clock was set since the last run, or the machine was booted anew.
    WallClock(WallClock),
    /// The store cannot write for now. Nothing more is claimed, what has come in is kept and tried again; told at every try.
    Stalled {
        /// What keeps it from writing.
        stall: &'a Stall,
        /// Since when.
        since_us: Micros,
        /// The run ends where it lasts until then.
        until_us: Micros,
        /// Jobs in flight, those included whose outcomes wait to be written.
        in_flight: usize,
    },
    /// The store writes again, after so long.
    GoesOn {
        /// How long it did not.
        after_us: Micros,
    },
    /// The write-ahead log has grown far beyond its usual size: somebody reads the database for long. Told once.
    LogGrows {
        /// Its size.
        bytes: u64,
    },
    /// So few files may be open that fewer requests than asked for are in flight.
    FewFiles {
        /// Files that may be open.
        files: u64,
        /// Requests in flight that were asked for.
        asked: usize,
        /// Requests in flight, at most.
        concurrency: usize,
    },
    /// Processing has come to need more CPU than there is; `None`: what there is is enough again.
    Processing(Option<Shortage>),
    /// It cannot succeed, and claims nothing more.
    Hopeless(&'a Reason),
    /// It claims nothing more, and waits for what flies.
    Draining {
        /// Jobs in flight.
        in_flight: usize,
        /// At most until then.
        until_us: Micros,
    },
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The server refused a request as one too many.
    Refused,
    /// Ten requests in a row failed in a way that may pass; one at a time finds out when it has.
    Trouble,
    /// The machine was booted anew, and what was sent just before that is not known.
    Rebooted,
}

/// Takes events; called from within the run, so it should be quick.
pub type OnEvent = Box<dyn Fn(&RunEvent<'_>) + Send + Sync>;

/// What a run has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Jobs that succeeded.
    pub succeeded: u64,
    /// Jobs given up, and those whose processing failed again while their old result stays.
    pub failed: u64,
    /// Of the failed ones, those whose old result stays.
    pub spared: u64,
    /// Failed attempts whose jobs are tried again.
    pub retried: u64,
    /// Requests that the server refused as too many (429).
    pub refused: u64,
    /// Leases given back unsent.
    pub released: u64,
    /// Write-backs dropped because their lease was gone.
    pub stale: u64,
    /// Results within the SLA.
    pub within_sla: u64,
    /// Results beyond it.
    pub late: u64,
    /// When the first request was sent.
    pub first_us: Option<Micros>,
    /// When the last request was sent.
    pub last_us: Option<Micros>,
    /// Requests answered, or failed without an answer.
    pub requests: u64,
    /// Latencies of the whole run, in one span.
    pub latencies: Minutes,
    /// What the attempts took together, by stage.
    pub spent_us: BTreeMap<&'static str, Micros>,
    /// What these leave out: reading the bodies (`body`), and writing the outcomes down (`commit`).
    pub others: Minutes,
}

impl Tally {
    /// Counts one durable outcome that ended its claim.
    pub fn add(&mut self, event: &Event, next: &Next, measured: &Measured) {
        match next.standing.state {
            State::Succeeded if next.spared.is_some() => {
                self.failed += 1;
                self.spared += 1;
            }
            State::Succeeded => self.succeeded += 1,
            State::Failed => self.failed += 1,
            State::Pending | State::Fetched | State::Cancelled => match event {
                Event::FetchFailed(failure) if failure.is_refusal() => self.refused += 1,
                Event::FetchFailed(_) | Event::ProcessFailed(_) => self.retried += 1,
                Event::Fetched | Event::Processed | Event::Interrupted | Event::Lost => {}
            },
        }
        if let (Some(_), Some(started_us)) = (measured.rate_wait_us, measured.started_at_us) {
            self.requests += 1;
            self.first_us = Some(self.first_us.map_or(started_us, |first| first.min(started_us)));
            self.last_us = Some(self.last_us.map_or(started_us, |last| last.max(started_us)));
        }
        self.within_sla += u64::from(measured.within_sla == Some(true));
        self.late += u64::from(measured.within_sla == Some(false));
        let failed = matches!(event, Event::FetchFailed(_) | Event::ProcessFailed(_));
        self.latencies.add(measured, failed, 0);
        for (stage, span_us) in minutes::STAGES.into_iter().zip(minutes::spans(measured)) {
            if let Some(span_us) = span_us {
                *self.spent_us.entry(stage).or_default() += span_us;
            }
        }
        if let Some((fetch_us, ttfb_us)) = measured.fetch_us.zip(measured.ttfb_us) {
            self.others.count("body", fetch_us - ttfb_us);
        }
    }

    /// Jobs this run is done with.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.succeeded + self.failed
    }
}

/// Jobs in these states with this type of failure; `None` in a place takes all.
#[must_use]
pub fn count(counts: &Counts, state: Option<State>, error_type: Option<&ErrorType>) -> u64 {
    let fits = |(s, e): &(State, Option<ErrorType>)| {
        state.is_none_or(|state| state == *s) && error_type.is_none_or(|wanted| Some(wanted) == e.as_ref())
    };
    counts.iter().filter(|(at, _)| fits(at)).map(|(_, n)| n).sum()
}
