//! A claimed job in the memory of the process, and what the server will say to it.

use haul::attempt::{ErrorType, Failure, Measured, Verdict};
use haul::clock::Micros;
use haul::job::{Event, Standing, next};
use haul::pace::Sent;
use haul::store::{Lease, WriteBack};

use crate::store_suite::scene::{response, rules};

/// How far a claimed job has come.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// It waits for the moment at which its request may be sent.
    Waiting,
    /// Its permit became void before that; lease and permit are to be given back.
    Unsent,
    /// It may be sent, and leaves the machine then: at once, or when its connection is open.
    Leaving { sent: Sent, at_us: Micros },
    /// The request has left; this is what comes back, and when.
    Away { sent: Sent, end_us: Micros, answer: Answer },
    /// It follows a redirect, and waits for a permit to fall due.
    Following,
    /// That permit is to be written down.
    Asking(Micros),
    /// The response is here, stored or not; it waits for a processor.
    Ready,
    /// What became of it waits to be committed.
    Outcome(Box<WriteBack>, What),
}

/// What the server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Good,
    /// A 429, with or without a Retry-After.
    Throttled(Option<Micros>),
    Busy,
    Wrong,
    /// It is to be asked for elsewhere.
    Elsewhere,
}

/// What an outcome says of its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Fetched,
    Processed,
    Throttled,
    /// A failure that is held against the job.
    Failed,
    /// The run stopped before it could follow a redirect.
    Interrupted,
}

/// A claimed job.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) lease: Lease,
    pub(crate) standing: Standing,
    pub(crate) stage: Stage,
    /// It was redirected, and waits for its next permit.
    pub(crate) redirected: bool,
    /// A response that is not stored yet.
    pub(crate) fetched: Option<WriteBack>,
    /// Its permit counts from later than it was written down with; not stored yet.
    pub(crate) late_permit: Option<(Micros, Micros)>,
    /// It is being processed alone.
    pub(crate) accused: bool,
}

impl Flight {
    pub(crate) fn new(lease: Lease) -> Self {
        let stage = if lease.permit_us.is_some() { Stage::Waiting } else { Stage::Ready };
        let standing = lease.standing;
        Self { standing, lease, stage, redirected: false, fetched: None, late_permit: None, accused: false }
    }

    /// What is written back when this happens now.
    pub(crate) fn write_back(&self, event: &Event, now_us: Micros) -> WriteBack {
        let Lease { job, attempt, .. } = self.lease;
        let next = next(self.standing, event, &rules(), job, attempt, now_us);
        let measured = Measured { started_at_us: Some(now_us), ..Measured::default() };
        WriteBack { job, attempt, next, measured, late_permit: self.late_permit, ..WriteBack::default() }
    }

    /// It waits in line for its permit, or its request is under way.
    pub(crate) fn hangs_on_time(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Leaving { .. } | Stage::Away { .. })
    }

    pub(crate) fn outcome(&self) -> Option<&WriteBack> {
        match &self.stage {
            Stage::Outcome(back, _) => Some(back),
            _ => None,
        }
    }

    /// A good response is here; `first` = it is stored before it is processed.
    pub(crate) fn answered(&mut self, first: bool, now_us: Micros) {
        let back = self.write_back(&Event::Fetched, now_us);
        let back = WriteBack { response: Some(response(b"{}")), ..back };
        self.standing = back.next.standing;
        self.late_permit = None;
        if first {
            self.stage = Stage::Outcome(Box::new(back), What::Fetched);
        } else {
            self.stage = Stage::Ready;
            self.fetched = Some(back);
        }
    }

    /// There is none, and this is why.
    pub(crate) fn failed(&mut self, failure: Failure, what: What, now_us: Micros) {
        let back = self.write_back(&Event::FetchFailed(failure), now_us);
        self.stage = Stage::Outcome(Box::new(back), what);
    }

    /// The run stops, and the redirect is not followed.
    pub(crate) fn interrupted(&mut self, now_us: Micros) {
        let back = self.write_back(&Event::Interrupted, now_us);
        self.stage = Stage::Outcome(Box::new(back), What::Interrupted);
    }

    /// A good response is in memory, and nowhere else.
    pub(crate) fn holds_unstored(&self) -> bool {
        self.fetched.is_some() || self.outcome().is_some_and(|back| back.response.is_some())
    }
}

impl Answer {
    /// In the words of a failed attempt; `None` = it is none.
    pub(crate) fn failure(self, now_us: Micros) -> Option<(Failure, What)> {
        let failure = |status, verdict| Failure::new(ErrorType::status(status), verdict, "not now");
        match self {
            Self::Good | Self::Elsewhere => None,
            Self::Throttled(wait_us) => {
                let not_before_us = wait_us.map(|wait_us| now_us + wait_us);
                Some((Failure { not_before_us, ..failure(429, Verdict::Throttled) }, What::Throttled))
            }
            Self::Busy => Some((failure(503, Verdict::Transient), What::Failed)),
            Self::Wrong => Some((failure(404, Verdict::Permanent), What::Failed)),
        }
    }
}
