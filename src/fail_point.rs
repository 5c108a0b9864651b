//! Named moments at which a test may have the process die, panic or stand still. Without the feature `fail-points`, which no
//! released program has, nothing of this is left.
//!
//! `HAUL_FAIL=after_claim:3` kills the process when it passes `after_claim` for the third time, as `kill -9` would:
//! `after_claim:3:panic` panics there, `after_claim:3:stop` holds it as `kill -STOP` does.

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)*) => {
        /// A moment.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point {
            $($(#[$doc])* $point,)*
        }

        impl Point {
            /// Every moment, roughly as a database and a job come to them.
            pub const ALL: &[Self] = &[$(Self::$point,)*];

            /// Its name in `HAUL_FAIL`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }
    };
}

points! {
    /// The file of the database is there, and empty.
    Created = "created",
    /// The schema is new, and not committed.
    Migrated = "migrated",
    /// The database is open, its schema durable.
    Opened = "opened",
    /// A transaction of the store is complete but for its commit.
    BeforeCommit = "before_commit",
    /// A transaction of the store is durable, and nobody knows yet.
    AfterCommit = "after_commit",
    /// An import has begun, without a row.
    ImportBegun = "import_begun",
    /// A chunk of an import is durable.
    ChunkImported = "chunk_imported",
    /// A chunk of an import of all or nothing is written, and not committed.
    PartImported = "part_imported",
    /// Leases of dead runs are freed, and not committed.
    LeasesFreed = "leases_freed",
    /// The new run stands in the table, and is not committed.
    RunBegun = "run_begun",
    /// The run is durable, and has not claimed yet.
    Recovered = "recovered",
    /// Jobs are claimed durably, none of them sent.
    AfterClaim = "after_claim",
    /// A permit is taken, and nothing sent.
    BeforeSend = "before_send",
    /// The request is on its way, wherever that is.
    Sending = "sending",
    /// The head of the answer is here.
    AfterHead = "after_head",
    /// A part of the body is here.
    MidBody = "mid_body",
    /// The body is complete.
    AfterBody = "after_body",
    /// A permit for a redirect is durable, and nothing sent under it.
    AfterSpend = "after_spend",
    /// A pause of the limit is durable.
    AfterPause = "after_pause",
    /// A response is about to be written.
    BeforeFetchCommit = "before_fetch_commit",
    /// A response is durable, its job not done.
    AfterFetchCommit = "after_fetch_commit",
    /// A suspect is accused durably, and not yet processed.
    Accused = "accused",
    /// A processor is at work.
    Processing = "processing",
    /// A result is about to be written.
    BeforeResultCommit = "before_result_commit",
    /// A result is durable, its place not free.
    AfterResultCommit = "after_result_commit",
    /// A lease under which nothing was sent is about to be given back.
    BeforeGiveBack = "before_give_back",
    /// It is given back durably.
    AfterGiveBack = "after_give_back",
    /// All is done, and the run is not ended.
    BeforeEnd = "before_end",
    /// The run is ended durably, its database open.
    AfterEnd = "after_end",
    /// The database is closed: its log is tidied away.
    Closed = "closed",
    /// An export has a file aside, and nothing in it.
    ExportBegun = "export_begun",
    /// An export has taken an answer.
    ExportRow = "export_row",
    /// An export is durable aside, without its name.
    ExportSynced = "export_synced",
    /// An export has its name.
    ExportNamed = "export_named",
}

/// The process is at this moment.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub fn pass(_: Point) {}

#[cfg(feature = "fail-points")]
pub use armed::pass;

/// The process is at this moment whenever this future waits.
#[cfg(not(feature = "fail-points"))]
pub fn pass_waiting<F: Future>(_: Point, future: F) -> F {
    future
}

/// The process is at this moment whenever this future waits.
#[cfg(feature = "fail-points")]
pub async fn pass_waiting<F: Future>(point: Point, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            pass(point);
        }
        polled
    })
    .await
}

#[cfg(feature = "fail-points")]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    use super::Point;

    /// What is to happen.
    #[derive(Clone, Copy)]
    enum How {
        Kill,
        Panic,
        Stop,
    }

    /// Where, and at the how many-th passage.
    struct Armed {
        point: Point,
        nth: u64,
        how: How,
        passed: AtomicU64,
    }

    /// A name that is none must not look like a moment that never came.
    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let text = std::env::var("HAUL_FAIL").ok()?;
        Some(parse(&text).expect("HAUL_FAIL is POINT:NTH, POINT:NTH:panic or POINT:NTH:stop"))
    });

    fn parse(text: &str) -> Option<Armed> {
        let mut parts = text.split(':');
        let name = parts.next()?;
        let point = Point::ALL.iter().copied().find(|point| point.name() == name)?;
        let nth = parts.next()?.parse().ok()?;
        let how = match parts.next() {
            None => How::Kill,
            Some("panic") => How::Panic,
            Some("stop") => How::Stop,
            Some(_) => return None,
        };
        Some(Armed { point, nth, how, passed: AtomicU64::new(0) })
    }

    /// The process is at this moment.
    pub fn pass(point: Point) {
        let Some(armed) = ARMED.as_ref().filter(|armed| armed.point == point) else { return };
        if armed.passed.fetch_add(1, Ordering::Relaxed) + 1 != armed.nth {
            return;
        }
        match armed.how {
            How::Panic => panic!("told to panic at {}", point.name()),
            How::Kill => raise(Signal::KILL),
            How::Stop => raise(Signal::STOP),
        }
    }

    /// Every process may signal itself, so there is no error to see; who comes here dies, or stands still for a while.
    fn raise(signal: Signal) {
        let _ = kill_process(getpid(), signal);
    }
}
