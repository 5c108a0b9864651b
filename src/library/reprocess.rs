//! A run over stored responses.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use super::{Runner, Summary};
use crate::clock::Clock;
use crate::error::Error;
use crate::job::Wish;
use crate::settings::Settings;
use crate::stop::{Phase, Stop};
use crate::store::Store;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::console::{Console, QueryError, select_where};

/// Jobs a transaction, at most.
const CHUNK: usize = 1_000;

/// Jobs that are found at once, at most: memory stays flat, and the reader's snapshot is let go of before much is written.
const PAGE: usize = 50_000;

impl Runner {
    /// Processes stored responses again and sends nothing: those of finished jobs for which a condition in SQL over `job_view`
    /// is true (`"true"`: of all), and those that wait for their first processing. A new result replaces the old one; where it
    /// fails, the old result stays, and the job is what it was.
    ///
    /// What was begun is gone on with by [`Runner::run`] too, or by another call with the condition `"false"`.
    ///
    /// ```no_run
    /// # async fn again() -> Result<(), haul::Error> {
    /// use haul::{Failure, Haul, Job, Response};
    ///
    /// let haul = Haul::open("backfill.db").await?;
    /// let length = |response: &Response, _: &Job| -> Result<_, Failure> { Ok(response.body.len()) };
    /// let summary = haul.runner().process(length).reprocess("status_code = 200").await?;
    /// println!("{} made anew, none asked for", summary.succeeded);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`Runner::run`]; and where the condition cannot be used.
    pub async fn reprocess(mut self, condition: impl Into<String>) -> Result<Summary, Error> {
        self.again = Some(condition.into());
        self.run().await
    }
}

/// Says durably which jobs, and by what, and has them go back to where their response is stored: whoever goes on after a crash
/// knows both.
pub(super) async fn take_up(
    store: &SqliteStore,
    path: &Path,
    condition: &str,
    settings: &Settings,
    stop: &Stop,
    clock: Clock,
) -> Result<(), Error> {
    let mut console = Console::open(path).await?;
    // By itself first: an error is then about what was given.
    console.prepare(&select_where("id", condition).map_err(unusable)?, &[]).await.map_err(unusable)?;
    let left = store.marking().await?.map(|left| format!(" OR ({left})")).unwrap_or_default();
    let condition = format!("state IN ('succeeded', 'failed') AND ((\n{condition}\n){left})");
    let settings = serde_json::to_string(settings).map_err(|e| Error::Run(e.into()))?;
    store.intend(&settings).await?;
    store.mark(Some(&condition)).await?;
    let mut last = 0;
    while stop.phase() == Phase::Go {
        let mut ids = Vec::new();
        let find = |id| {
            ids.push(id);
            if ids.len() < PAGE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let page = format!("id > {last} AND {condition}");
        console.jobs_where(&page, Duration::MAX, find).await.map_err(unusable)?;
        for chunk in ids.chunks(CHUNK) {
            store.grant(Wish::Reprocess, chunk, clock.now_us()).await?;
        }
        match ids.last() {
            Some(id) => last = *id,
            None => {
                store.mark(None).await?;
                break;
            }
        }
    }
    // Whoever still reads would keep the log from being folded in.
    Ok(console.close().await?)
}

fn unusable(error: QueryError) -> Error {
    match error {
        QueryError::Store(error) => error.into(),
        other => Error::Configuration(format!("the condition of the jobs to process again cannot be used: {other}")),
    }
}
