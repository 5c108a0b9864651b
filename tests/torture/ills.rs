//! What ails the answers of the soak: of every kind a little, five in a hundred in all. Which answer it is depends on the number of
//! its job alone, so that the jobs that must fail, and as what, are known beforehand.

use std::collections::BTreeMap;
use std::time::Duration;

use haul::backoff::chance;

use crate::server::{Answer, Asked, Reply};

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ill {
    // Gone when the job comes again.
    Refused,
    Overloaded,
    Error,
    Reset,
    Closed,
    CutOff,
    ChunkCutOff,
    Silent,
    TooSlow,
    // An answer all the same.
    Late,
    Dripping,
    Redirected,
    TooMuchSent,
    // For good.
    Missing,
    Noise,
    TwoLengths,
    NotPacked,
    TooLarge,
    Page,
    Loop,
}

/// So many of ten thousand jobs meet it.
const SHARES: [(Ill, u64); 19] = [
    (Ill::Overloaded, 40),
    (Ill::Error, 40),
    (Ill::Reset, 40),
    (Ill::Closed, 40),
    (Ill::CutOff, 40),
    (Ill::ChunkCutOff, 20),
    (Ill::Silent, 10),
    (Ill::TooSlow, 10),
    (Ill::Late, 40),
    (Ill::Dripping, 30),
    (Ill::Redirected, 40),
    (Ill::TooMuchSent, 20),
    (Ill::Missing, 30),
    (Ill::Noise, 20),
    (Ill::TwoLengths, 20),
    (Ill::NotPacked, 10),
    (Ill::TooLarge, 20),
    (Ill::Page, 20),
    (Ill::Loop, 10),
];

/// A refusal stops all others for a second, and the pace is strictly even from then on, which costs a quarter of such a rate: one in
/// so many, or the soak would be a slow one. The first comes in the middle of an hour.
const REFUSED_EVERY: u64 = 600_000;

/// Of every answer that is meant to be whole.
const LATENCY: Duration = Duration::from_millis(50);

impl Ill {
    /// What the job of this number meets.
    pub(crate) fn of(seed: u64, job: u64) -> Option<Self> {
        if job % REFUSED_EVERY == REFUSED_EVERY / 2 {
            return Some(Self::Refused);
        }
        let mut at = (chance(seed, job.cast_signed(), 0) * 1e4) as u64;
        let meets = |(ill, share): &(Self, u64)| match at.checked_sub(*share) {
            None => Some(*ill),
            Some(rest) => {
                at = rest;
                None
            }
        };
        SHARES.iter().find_map(meets)
    }

    /// The type of the failure, where it is one for good.
    fn fails_as(self) -> Option<&'static str> {
        match self {
            Self::Missing => Some("404"),
            Self::Noise | Self::TwoLengths | Self::NotPacked => Some("decode"),
            Self::TooLarge => Some("body_too_large"),
            Self::Page => Some("process_error"),
            Self::Loop => Some("redirect"),
            _ => None,
        }
    }

    /// What is sent to a job that meets it. Keys of redirected requests begin with `hop-`, and what they meet is no repetition.
    fn reply(self, key: &str) -> Reply {
        let whole = || Answer::json(format!(r#"{{"key":{key:?},"n":[1,2,3]}}"#));
        let raw = |text: &str| Reply::Raw(text.as_bytes().to_vec());
        let to = |target: String| Answer::status(302).header("location", &target).into();
        match self {
            Self::Refused => Answer::status(429).header("retry-after", "1").into(),
            Self::Overloaded => Answer::status(503).into(),
            Self::Error => Answer::status(500).into(),
            Self::Reset => Reply::Reset,
            Self::Closed => Reply::Close,
            Self::CutOff => Reply::Partial(whole(), 9),
            Self::ChunkCutOff => raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[1,2"),
            Self::Silent => Reply::Hang,
            Self::TooSlow => Reply::Drip(whole(), Duration::from_secs(1)),
            Self::Late => Reply::After(Duration::from_millis(800), Box::new(whole().into())),
            Self::Dripping => Reply::Drip(whole(), Duration::from_millis(20)),
            Self::Redirected => to(format!("/hop-{key}")),
            Self::TooMuchSent => {
                raw("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"key\":\"x\"} and {\"key\":\"y\"}")
            }
            Self::Missing => Answer::status(404).into(),
            Self::Noise => raw("\x15\x03\x01\0\x02\x02\x46 is no answer\r\n\r\n"),
            Self::TwoLengths => raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n[1,2]"),
            Self::NotPacked => whole().header("content-encoding", "gzip").into(),
            Self::TooLarge => raw("HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n[1,2]"),
            Self::Page => Answer { body: b"<html>Please log in</html>".to_vec(), ..Answer::status(200) }.into(),
            Self::Loop => to(format!("/hop-loop-{key}")),
        }
    }
}

/// What the server does with a request.
pub(crate) fn reply(seed: u64, asked: &Asked) -> Reply {
    let key = asked.key.as_str();
    if let Some(rest) = key.strip_prefix("hop-loop-") {
        return Answer::status(302).header("location", &format!("/hop-loop-{rest}")).into();
    }
    let well = || Answer::json(format!(r#"{{"key":{key:?}}}"#)).into();
    let Some(ill) = key.parse().ok().and_then(|job| Ill::of(seed, job)) else {
        return Reply::After(LATENCY, Box::new(well()));
    };
    if asked.nth > 1 && ill.fails_as().is_none() && ill != Ill::Redirected { well() } else { ill.reply(key) }
}

/// How many of these jobs fail, by type.
pub(crate) fn failures(seed: u64, jobs: u64) -> BTreeMap<String, i64> {
    let mut failures = BTreeMap::new();
    for kind in (0..jobs).filter_map(|job| Ill::of(seed, job)?.fails_as()) {
        *failures.entry(kind.to_owned()).or_default() += 1;
    }
    failures
}
