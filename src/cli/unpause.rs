//! `haul unpause`: has a paused run go on, from another terminal.

use std::path::Path;

use clap::Args;

use super::exit::Exit;
use super::{next, pause};

const EXAMPLES: &str = "\
Examples:
  haul unpause
  haul --db other.db unpause";

/// Have a paused run go on, from another terminal
///
/// It goes on within a second, at its rate, with nothing made up for.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UnpauseArgs {}

/// `haul unpause`.
pub(crate) async fn run(UnpauseArgs {}: UnpauseArgs, db: &Path) -> anyhow::Result<Exit> {
    let (run, _) = pause::ask(db, false).await?;
    let said = if run.asked_to.as_deref() == Some("pause") { "goes on" } else { "is not paused" };
    pause::say(&run, said, &next::command("status", db))
}
