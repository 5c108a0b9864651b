//! `haul report`: what became of it, as one page to look at and to share.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use haul::clock::Clock;
use haul::report::page;

use super::database::Reader;
use super::exit::Exit;
use super::export::Target;
use super::terminal::{quiet_if_closed, visible};

/// Where the page is written unless another file is named.
const FILE: &str = "haul-report.html";

const EXAMPLES: &str = "\
Examples:
  haul report                            writes haul-report.html
  haul report -o monday.html
  haul --db other.db report -o - > other.html";

/// Write one self-contained HTML page: throughput, latency, SLA, failures, retries, crashes, runs
///
/// It needs no network and runs no script, so it can be sent as it is. Reads kept numbers only; works while a run is going.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// Where to write; '-' is standard output [default: haul-report.html]
    #[arg(short, long, value_name = "FILE|-")]
    output: Option<PathBuf>,
}

/// `haul report`.
pub(crate) async fn run(args: ReportArgs, db: &Path, quiet: bool) -> anyhow::Result<Exit> {
    let path = args.output.unwrap_or_else(|| FILE.into());
    let mut reader = Reader::open(db).await?;
    let told = reader.history(Clock::start()).await;
    reader.close().await?;
    let name = db.file_name().unwrap_or(db.as_os_str()).to_string_lossy().into_owned();
    let text = page::render(&told?, &name)?;
    if *path == *"-" {
        quiet_if_closed(std::io::stdout().write_all(text.as_bytes()))?;
        return Ok(Exit::Done);
    }
    let mut target = Target::file(&path, db, None)?;
    target.write_all(text.as_bytes()).with_context(|| format!("failed to write {}", path.display()))?;
    target.finish()?;
    if !quiet {
        let name = visible(&path.display().to_string());
        // Where stderr is closed there is nobody to tell.
        _ = quiet_if_closed(writeln!(anstream::stderr(), "{name}: {} KiB; open it in a browser", text.len() / 1024));
    }
    Ok(Exit::Done)
}
