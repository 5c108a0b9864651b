//! Why a run stopped by itself while work remained.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::clock::Micros;
use crate::hope::MaxFailures;
use crate::report::second;

/// Why a run claimed nothing more although jobs were left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It has begun as many jobs as it was to.
    Jobs(u64),
    /// Its time was over.
    Time(Duration),
    /// It has sent as many requests as it was to.
    Requests(u64),
    /// Its next request would have waited longer than it was to wait.
    Wait {
        /// What it was to wait at most.
        most: Duration,
        /// When it would have gone on.
        until_us: Micros,
        /// The limit that has it wait; `None`: the server asked for it.
        limit: Option<String>,
    },
    /// Another process asked it to, through the database.
    Told,
    /// The server refused its credentials, again and again.
    Credentials {
        /// So many answers in a row.
        answers: u32,
        /// With these status codes.
        status_codes: BTreeSet<u16>,
    },
    /// No TLS connection could be trusted, again and again.
    Tls {
        /// So many jobs in a row.
        jobs: u32,
    },
    /// Of the jobs it has finished, all so far failed for good.
    NoneSucceeded {
        /// So many.
        failed: u64,
    },
    /// More jobs failed for good than it was to bear.
    Failures {
        /// So many.
        failed: u64,
        /// Of so many that it has finished.
        finished: u64,
        /// What it was to bear.
        most: MaxFailures,
    },
    /// A response met the rule that stops a run.
    StopIf {
        /// The key of the job.
        key: String,
        /// Its status code.
        status_code: u16,
        /// The rule, as given.
        rule: String,
    },
}

impl Reason {
    /// The run could not have succeeded; otherwise it stopped on purpose.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        !matches!(self, Self::Jobs(_) | Self::Time(_) | Self::Requests(_) | Self::Wait { .. } | Self::Told)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jobs(most) => write!(f, "it has begun as many jobs as it was to: {most}"),
            Self::Time(lasts) => write!(f, "its time was over: {}", humantime::format_duration(*lasts)),
            Self::Requests(most) => write!(f, "it has sent as many requests as it was to: {most}"),
            Self::Wait { most, until_us, limit } => {
                let (until, most) = (second(*until_us), humantime::format_duration(*most));
                match limit {
                    Some(limit) => write!(f, "{limit} allows the next request at {until}")?,
                    None => write!(f, "the server takes the next request at {until}")?,
                }
                write!(f, ", and it was to wait {most} at most")
            }
            Self::Told => f.write_str("another process asked it to"),
            Self::Credentials { answers, status_codes } => {
                let codes: Vec<_> = status_codes.iter().map(u16::to_string).collect();
                write!(f, "the server refuses the credentials: {answers} answers in a row were {}", codes.join(" or "))
            }
            Self::Tls { jobs } => write!(f, "{jobs} jobs in a row had no trusted TLS connection"),
            Self::NoneSucceeded { failed } => {
                write!(f, "none of the first {failed} jobs succeeded, all failed for good")
            }
            Self::Failures { failed, finished, most } => {
                write!(f, "{failed} of the {finished} jobs finished failed for good, and it was to stop at {most}")
            }
            Self::StopIf { key, status_code, rule } => {
                write!(f, "the response to job {key} (status {status_code}) meets the rule to stop if `{rule}`")
            }
        }
    }
}
