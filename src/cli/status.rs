//! `haul status`: where things stand.

mod draw;

use std::io::{self, Write};
use std::path::Path;

use clap::Args;
use haul::clock::Clock;

pub(super) use draw::{digits, time};

use super::database::overview;
use super::exit::Exit;
use super::terminal::quiet_if_closed;

const EXAMPLES: &str = "\
Examples:
  haul status
  haul status --json | jq .jobs.pending
  haul --db other.db status";

/// Show where things stand: jobs, rate, time left, failures, latencies
///
/// Reads kept numbers only, so it is as quick with ten million jobs as with ten, also while a run is going.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArgs {
    /// As JSON; members are added over time, never changed
    #[arg(long)]
    json: bool,
}

/// Reads the numbers and writes them.
pub(crate) async fn run(args: StatusArgs, db: &Path) -> anyhow::Result<Exit> {
    let overview = overview(db, Clock::start()).await?;
    let mut out = anstream::stdout();
    let written = match args.json {
        true => serde_json::to_writer_pretty(&mut out, &overview).map_err(io::Error::from).and_then(|()| writeln!(out)),
        false => draw::overview(&mut out, &overview, db),
    };
    quiet_if_closed(written.and_then(|()| out.flush()))?;
    Ok(Exit::Done)
}
