//! What a seed draws once for a whole life.

use std::ops::Range;

use haul::clock::{Micros, SECOND_US};
use haul::limit::Limit;

use super::server::Model;
use crate::random_numbers::Random;

/// Limits a life may have to keep.
pub(crate) const LIMITS: [&[&str]; 8] =
    [&["2/s"], &["3/500ms"], &["5/s"], &["5/s", "60/m"], &["20/s"], &["20/s", "30/10s"], &["200/s"], &["5/10s"]];

/// The jitter of the rule, less what it takes to let a request go.
const MOST_ONE_WAY_US: Micros = 18_000;

/// A guard that is taken out, to show that the checks see what it is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    /// All guards are in place.
    Nothing,
    /// A start knows nothing of the permits that earlier runs used: the pace alone, as governor would do it.
    Spends,
    /// A permit that was used late stays written down as it was claimed.
    LatePermits,
    /// A recovery leaves the permits of interrupted requests where they were written down.
    MovedPermits,
    /// A connection that has to be opened counts as open.
    ColdConnections,
    /// A start does not know how long the server asked to wait.
    Pauses,
    /// A place is free before the outcome is committed.
    Places,
    /// Whoever lost a lease writes as if he held it.
    Fence,
    /// A 429 is held against the job.
    Mercy,
    /// governor's own quota says when to send: a burst of N, and N more within the window.
    Rule,
    /// J is nothing.
    Jitter,
    /// Only the shortest of several limits is kept.
    Joint,
    /// A standstill of the process goes unnoticed.
    Standstills,
    /// A permit that is void is used all the same.
    Voids,
    /// Permits are not written down when they are claimed.
    WrittenFirst,
    /// Permits of requests that were not sent are kept.
    GivingBack,
    /// A redirect is followed under the permit of the first request.
    Redirects,
    /// Nobody asks what became of the wall clock.
    WallClock,
    /// After a boot nothing is waited for.
    Rest,
    /// Suspects are processed beside each other.
    Alone,
    /// A suspect is processed before its crashes are raised.
    Accusation,
    /// A suspect is processed before its response is stored.
    StoredFirst,
    /// A claim leaves the job free.
    Lease,
    /// A commit is written in two parts, and the process dies between them.
    OneTransaction,
    /// A recovery forgets a lease.
    Recovery,
    /// A recovery sends a fetched job back to the server.
    Stage,
}

impl Without {
    /// Every guard, and words of what is broken without it.
    pub(crate) const GUARDS: [(Self, &str); 25] = [
        (Self::Spends, "requests within"),
        (Self::LatePermits, "requests within"),
        (Self::MovedPermits, "requests within"),
        (Self::ColdConnections, "requests within"),
        (Self::Pauses, "sent before the server wanted it"),
        (Self::Places, "more jobs in flight than slots"),
        (Self::Fence, "job "),
        (Self::Mercy, "what is held against it"),
        (Self::Rule, "requests within"),
        (Self::Jitter, "requests within"),
        (Self::Joint, "requests within"),
        (Self::Standstills, "requests within"),
        (Self::Voids, "a void permit is used"),
        (Self::WrittenFirst, "requests within"),
        (Self::GivingBack, "a permit that nobody used still counts"),
        (Self::Redirects, "requests within"),
        (Self::WallClock, "requests within"),
        (Self::Rest, "sent before the server wanted it"),
        (Self::Alone, "accused of one death"),
        (Self::Accusation, "it never ends"),
        (Self::StoredFirst, "a suspect whose response is not stored"),
        (Self::Lease, "leases and what flies"),
        (Self::OneTransaction, "without its response"),
        (Self::Recovery, "still held by the dead"),
        (Self::Stage, "job "),
    ];
}

/// How the server and the network behave, and what the process is told to keep. Spans are drawn evenly.
#[derive(Debug, Clone)]
pub(crate) struct Nature {
    pub(crate) limits: Vec<Limit>,
    /// Jobs between claim and commit, at most.
    pub(crate) slots: usize,
    /// Different keys that may be imported.
    pub(crate) keys: usize,
    /// Each way. Requests overtake each other by less than the jitter of the rule.
    pub(crate) one_way_us: Range<Micros>,
    /// From arrival to answer.
    pub(crate) serve_us: Range<Micros>,
    /// Of a hundred requests, so many open a connection, and how long that takes.
    pub(crate) cold: (usize, Range<Micros>),
    /// Of a hundred requests, so many are answered with a 429.
    pub(crate) throttled: usize,
    /// Of a hundred requests, so many fail otherwise.
    pub(crate) failing: usize,
    /// Of a thousand permits, so many are followed by a standstill.
    pub(crate) standstills: usize,
    /// Some jobs kill the process that works on them.
    pub(crate) poison: bool,
    /// Of a hundred requests, so many are redirected.
    pub(crate) redirects: usize,
    /// Of a hundred answers, so many say what is left of a limit of the server's.
    pub(crate) telling: usize,
    /// A commit survives a crash, and not always a loss of power.
    pub(crate) lossy: bool,
    /// Everything is looked at after each change; else only now and then.
    pub(crate) watched: bool,
    /// How the server counts; `None` = it refuses without a reason only.
    pub(crate) model: Option<Model>,
    pub(crate) without: Without,
}

impl Nature {
    /// Anything may happen.
    pub(crate) fn wild(random: &mut Random, without: Without) -> Self {
        let quick = random.percent(50);
        let (one_way_us, serve_us) = if quick { (0..400, 0..2_000) } else { (0..MOST_ONE_WAY_US, 0..600_000) };
        Self {
            limits: limits(LIMITS[random.below(LIMITS.len())]),
            slots: 1 + random.below(8),
            keys: 40,
            one_way_us,
            serve_us,
            cold: ([0, 10, 50][random.below(3)], 1_000..3 * SECOND_US),
            throttled: [0, 0, 3, 20][random.below(4)],
            failing: [0, 5, 20, 95][random.below(4)],
            standstills: random.below(20),
            poison: random.percent(50),
            redirects: [0, 0, 10, 40][random.below(4)],
            telling: [0, 0, 10][random.below(3)],
            lossy: random.percent(30),
            watched: true,
            model: None,
            without,
        }
    }

    /// The server does what it is asked, soon.
    pub(crate) fn honest(self) -> Self {
        let quiet = Self { throttled: 0, failing: 0, standstills: 0, redirects: 0, telling: 0, ..self };
        Self { serve_us: 1_000..50_000, cold: (2, 1_000..20_000), ..quiet }
    }

    /// As many jobs as can be sent, and places for all that is in flight.
    pub(crate) fn plenty(random: &mut Random, rates: &[&str]) -> Self {
        let wild = Self::wild(random, Without::Nothing);
        Self { limits: limits(rates), slots: 64, keys: 220, poison: false, ..wild.honest() }
    }

    /// The time in which about so many permits fall due.
    pub(crate) fn time_of(&self, permits: usize) -> Micros {
        let slowest = self.limits.iter().map(|limit| limit.window_us / Micros::from(limit.permits)).min();
        slowest.unwrap_or(1_000) * permits as Micros
    }
}

pub(crate) fn limits(rates: &[&str]) -> Vec<Limit> {
    rates.iter().map(|rate| rate.parse().expect("a rate")).collect()
}
