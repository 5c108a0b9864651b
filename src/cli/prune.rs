//! `haul prune`: drops what is stored and no longer needed, and gives the space back.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::Args;
use haul::clock::Clock;
use haul::job::{Standing, State, retried};
use haul::settings::Durability;
use haul::store::Store;
use haul::store::sqlite::SqliteStore;
use haul::store::sqlite::console::Kind;

use super::choice::{Choice, SearchFlags, many};
use super::database::Console;
use super::exit::{Exit, UsageError};
use super::next;
use super::run::Held;
use super::terminal::{quiet_if_closed, visible};

const EXAMPLES: &str = "\
Examples:
  haul prune --responses --dry-run
  haul prune --responses
  haul prune --responses --where \"state = 'succeeded'\"
  haul prune --responses --where \"finished_at < '2026-11-01'\"";

/// Drop stored responses of finished jobs, and give the space back; results stay
///
/// What is dropped cannot be processed again without another request. Not while a run is going. The database is written
/// anew, which needs room for a second copy of what stays, in the temporary folder (SQLITE_TMPDIR) and beside it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PruneArgs {
    /// Drop the stored responses of succeeded, failed and cancelled jobs
    #[arg(long)]
    responses: bool,
    /// Only of jobs for which this is true: a condition in SQL over job_view
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    #[command(flatten)]
    search: SearchFlags,
}

/// What would be dropped.
#[derive(Debug, Default)]
struct Plan {
    responses: u64,
    bytes: u64,
    /// Of these, jobs that a retry would only process again as long as their response is there.
    processable: u64,
}

/// `haul prune`.
pub(crate) async fn run(args: PruneArgs, db: &Path) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    if !args.responses {
        let command = next::typed_with("--responses");
        let text = format!("say what is to be dropped: `{command}` drops the stored responses of finished jobs");
        return Err(UsageError(text).into());
    }
    let mut console = Console::open(db).await?;
    let ours = ["state IN ('succeeded', 'failed', 'cancelled')".to_owned(), "response_headers IS NOT NULL".to_owned()];
    let choice = Choice::new(&mut console, &ours, args.condition.as_deref(), &args.search).await;
    let choice = choice.context("--where cannot be used")?;
    let kinds = choice.kinds(&mut console).await.context("failed to look for the responses")?;
    let plan = Plan::of(&kinds);
    if args.search.dry_run {
        console.close().await?;
        let text =
            format!("{}\nnothing was changed (--dry-run)\nnext: {}\n", plan.says(), next::typed_without("--dry-run"));
        quiet_if_closed(write!(anstream::stdout(), "{text}"))?;
        return Ok(Exit::Done);
    }
    let held = Held::take(db, false, Durability::PowerLoss, clock).await?;
    held.alone().await?;
    let before = size(db);
    quiet_if_closed(writeln!(anstream::stderr(), "{}", plan.says()))?;
    let dropped = drop_responses(&held, &choice, &mut console, clock).await;
    // Whoever still reads would keep the file from shrinking.
    console.close().await?;
    let dropped = dropped.context("failed to drop all of the responses; run the same again for the rest")?;
    let name = visible(&db.display().to_string());
    let Some(file) = held.store.file() else {
        held.release().await?;
        let dropped = many(dropped, "response");
        let text =
            format!("{dropped} dropped\n{name}: their space is used again; `VACUUM FULL responses` gives it back\n");
        quiet_if_closed(write!(anstream::stdout(), "{text}"))?;
        return Ok(Exit::Done);
    };
    let folded = compact(file, dropped, db).await?;
    held.release().await?;
    let after = size(db);
    let mut text = format!(
        "{} dropped\n{name}: {} before, {} now, {} freed\n",
        many(dropped, "response"),
        amount(before),
        amount(after),
        amount(before.saturating_sub(after))
    );
    if !folded {
        text += "another process has the database open: the file shrinks when that lets go\n";
    }
    quiet_if_closed(write!(anstream::stdout(), "{text}"))?;
    Ok(Exit::Done)
}

async fn drop_responses(held: &Held, choice: &Choice, console: &mut Console, clock: Clock) -> anyhow::Result<u64> {
    let mut dropped = 0;
    let mut walk = choice.walk(clock);
    while let Some(ids) = walk.next(console).await? {
        dropped += held.store.prune(ids).await?;
    }
    Ok(dropped)
}

/// Also after an earlier call that dropped responses and then was killed.
async fn compact(file: &SqliteStore, dropped: u64, db: &Path) -> anyhow::Result<bool> {
    if dropped == 0 && !file.has_free_pages().await? {
        return Ok(true);
    }
    file.compact().await.with_context(|| {
        format!(
            "failed to make {} smaller: it needs room for a second copy of what stays, in the temporary folder \
             (SQLITE_TMPDIR) and beside the database. The responses are dropped, nothing else is lost, and new ones use \
             their space; run it again for the rest",
            db.display()
        )
    })
}

impl Plan {
    fn of(kinds: &[Kind]) -> Self {
        let mut plan = Self::default();
        for kind in kinds {
            plan.responses += kind.jobs;
            plan.bytes += kind.bytes;
            let failed = Standing { state: State::Failed, ..Standing::default() };
            let again = retried(failed, kind.error_type.as_ref(), true);
            if kind.state == State::Failed && again.state == State::Fetched {
                plan.processable += kind.jobs;
            }
        }
        plan
    }

    fn says(&self) -> String {
        let mut text = format!("{} of finished jobs, {}", many(self.responses, "stored response"), amount(self.bytes));
        if self.processable > 0 {
            text += &format!(
                "; {} could then no longer be processed again without a request",
                many(self.processable, "failed job")
            );
        }
        text
    }
}

/// Bytes of the database on disk, its log included. Only looked at: to open it would drop SQLite's locks.
fn size(db: &Path) -> u64 {
    let mut log = db.as_os_str().to_owned();
    log.push("-wal");
    [db.as_os_str(), &log].into_iter().filter_map(|path| std::fs::metadata(path).ok()).map(|file| file.len()).sum()
}

/// `12.3 MB`.
fn amount(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
