//! `haul stop`: asks the run that is going to stop, from another terminal.

use std::io::Write;
use std::path::Path;

use clap::Args;
use haul::clock::Clock;
use haul::report::{Overview, Phase, Run, iso_8601};
use haul::settings::Durability;
use haul::store::{Store, StoreError};

use super::choice::many;
use super::database::{self, Database};
use super::exit::{Exit, NothingThere};
use super::next;
use super::terminal::{quiet_if_closed, visible};

const EXAMPLES: &str = "\
Examples:
  haul stop
  haul --db other.db stop
  haul resume                   goes on later";

/// Stop the run that is going, from another terminal: what is in flight lands, the rest waits
///
/// The run ends by itself with exit code 75, as if its time were over. Ctrl-C where it runs does the same.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StopArgs {}

/// `haul stop`.
pub(crate) async fn run(StopArgs {}: StopArgs, db: &Path) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let found = look(db, clock).await?;
    let Some(run) = found.run.as_ref().filter(|run| is_going(run)) else {
        return Err(NothingThere(idle(found.run.as_ref(), "stop", db)).into());
    };
    let store = Database::open(db, Durability::PowerLoss, false).await?;
    let asked = async {
        let mut asked = false;
        for run in store.going(run.id).await? {
            asked |= store.ask_to_stop(run).await?;
        }
        Ok::<_, StoreError>(asked)
    };
    let asked = asked.await;
    store.close().await?;
    if !asked? {
        return Err(NothingThere(idle(None, "stop", db)).into());
    }
    let host = visible(&run.host);
    let (flying, next) = (many(found.jobs.in_flight, "job"), next::command("status", db));
    let text = format!(
        "the run that is going (pid {} on {host}) is asked to stop; it lets {flying} in flight land\n\
         next: {next}\n",
        run.pid
    );
    quiet_if_closed(write!(anstream::stdout(), "{text}"))?;
    Ok(Exit::Done)
}

/// Why there is no run to do this to.
pub(super) fn idle(run: Option<&Run>, verb: &str, db: &Path) -> String {
    let name = db.display();
    match run {
        Some(run) if run.phase == Phase::Gone => {
            let since = iso_8601(run.heartbeat_at);
            format!("no run is going on {name}: the last one (pid {}) has not been heard of since {since}", run.pid)
        }
        _ => format!("no run is going on {name}: there is nothing to {verb}"),
    }
}

/// The run that is going, if any, and the verb that begins the next one.
pub(super) async fn going(db: &Path, clock: Clock) -> anyhow::Result<(Option<Run>, &'static str)> {
    let found = look(db, clock).await?;
    let verb = next_verb(&found);
    Ok((found.run.filter(is_going), verb))
}

/// The verb that begins the next run.
pub(super) fn next_verb(found: &Overview) -> &'static str {
    if found.source.as_deref() == Some(next::DEMO) { "demo" } else { "resume" }
}

/// It gives signs of life.
pub(super) fn is_going(run: &Run) -> bool {
    run.phase == Phase::Running
}

pub(super) async fn look(db: &Path, clock: Clock) -> anyhow::Result<Overview> {
    Ok(database::overview(db, clock).await?)
}
