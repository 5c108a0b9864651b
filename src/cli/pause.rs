//! `haul pause`: has the run that is going send nothing, from another terminal.

use std::io::Write;
use std::path::Path;

use clap::Args;
use haul::clock::Clock;
use haul::report::Run;
use haul::settings::Durability;
use haul::store::{Store, StoreError};

use super::choice::many;
use super::database::Database;
use super::exit::{Exit, NothingThere};
use super::terminal::{quiet_if_closed, visible};
use super::{next, stop};

const EXAMPLES: &str = "\
Examples:
  haul pause
  haul unpause                  goes on
  haul --db other.db pause";

/// Have the run that is going send nothing until `haul unpause`, from another terminal
///
/// What is in flight lands, and what is answered is processed. The run waits, and ends where it is stopped (Ctrl-C, `haul
/// stop`) or its time is over; the next one begins unpaused.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PauseArgs {}

/// `haul pause`.
pub(crate) async fn run(PauseArgs {}: PauseArgs, db: &Path) -> anyhow::Result<Exit> {
    let (run, flying) = ask(db, true).await?;
    let flying = many(flying, "job");
    let said = match run.asked_to.as_deref() {
        Some("pause") => "is paused already".to_owned(),
        _ => format!("sends nothing more; it lets {flying} in flight land"),
    };
    say(&run, &said, &next::command("unpause", db))
}

/// Says what becomes of the run, and what to type next.
pub(super) fn say(run: &Run, said: &str, next: &str) -> anyhow::Result<Exit> {
    let host = visible(&run.host);
    let text = format!("the run that is going (pid {} on {host}) {said}\nnext: {next}\n", run.pid);
    quiet_if_closed(write!(anstream::stdout(), "{text}"))?;
    Ok(Exit::Done)
}

/// Asks the run that is going to pause, or to go on. Gives it as it was before, and how many jobs were in flight.
pub(super) async fn ask(db: &Path, pause: bool) -> anyhow::Result<(Run, u64)> {
    let (verb, why) = if pause { ("pause", "") } else { ("unpause", ", and the next one begins unpaused") };
    let found = stop::look(db, Clock::start()).await?;
    let nothing = |run: Option<&Run>| {
        let idle = stop::idle(run, verb, db);
        let next = next::command(stop::next_verb(&found), db);
        NothingThere(format!("{idle}{why}\n  `{next}` begins a run"))
    };
    let Some(run) = found.run.clone().filter(stop::is_going) else {
        return Err(nothing(found.run.as_ref()).into());
    };
    let store = Database::open(db, Durability::PowerLoss, false).await?;
    let asked = async {
        let mut asked = false;
        for run in store.going(run.id).await? {
            asked |= store.ask_to_pause(run, pause).await?;
        }
        Ok::<_, StoreError>(asked)
    };
    let asked = asked.await;
    store.close().await?;
    match asked? {
        true => Ok((run, found.jobs.in_flight)),
        false if run.asked_to.as_deref() == Some("stop") => {
            let next = next::command("status", db);
            Err(NothingThere(format!("the run that is going is stopping: there is nothing to {verb}\n  see `{next}`"))
                .into())
        }
        false => Err(nothing(None).into()),
    }
}
