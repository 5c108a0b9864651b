//! The command line: one verb, one file.

mod cancel;
mod change;
mod choice;
mod completions;
mod confirm;
mod database;
mod demo;
pub(crate) mod environment;
mod exit;
mod export;
pub(crate) mod files;
mod flags;
mod import;
pub(crate) mod log;
mod man;
mod metrics;
mod next;
mod pause;
mod plan;
mod progress;
mod prune;
mod query;
mod rate;
mod rejected;
mod report;
mod reprocess;
mod retry;
mod run;
mod secrets;
mod show;
mod signals;
mod status;
mod stop;
mod summary;
mod terminal;
mod unpause;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Exit;

/// Drains a table of HTTP jobs at a rate limit, with CPU work on every response, and resumes exactly where it stopped
///
/// Exit codes: 0 all done, 1 the tool failed (run again), 2 usage, 3 some jobs failed for good, 4 nothing to resume, 5 could
/// not succeed, 6 another run holds the database, 65 some input rows were rejected, 75 stopped on purpose with work left,
/// 129/130/143 interrupted by a signal.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
pub(crate) struct Cli {
    /// The database: a file, or postgres://USER@HOST/DATABASE for many machines [default: haul.db]
    #[arg(long, global = true, env = "HAUL_DB", hide_env_values = true, value_name = "PATH")]
    db: Option<PathBuf>,
    /// Say less (-q: no progress) on stderr
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more on stderr; twice for details
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Form of log lines on stderr
    #[arg(long, global = true, value_name = "FORM", default_value = "text")]
    log_format: log::Format,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(Box<run::RunArgs>),
    Resume(Box<run::ResumeArgs>),
    Import(import::ImportArgs),
    Plan(Box<plan::PlanArgs>),
    Status(status::StatusArgs),
    Show(show::ShowArgs),
    Query(query::QueryArgs),
    Retry(retry::RetryArgs),
    Reprocess(Box<reprocess::ReprocessArgs>),
    Cancel(cancel::CancelArgs),
    Pause(pause::PauseArgs),
    Unpause(unpause::UnpauseArgs),
    Rate(rate::RateArgs),
    Stop(stop::StopArgs),
    Prune(prune::PruneArgs),
    Export(Box<export::ExportArgs>),
    Report(report::ReportArgs),
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Does what the command line says.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let db = database::named(cli.db.clone().unwrap_or_else(|| "haul.db".into()))?;
    call(cli, &db).await.map_err(|error| exit::located(error, &db))
}

async fn call(cli: Cli, db: &Path) -> anyhow::Result<Exit> {
    match cli.verb {
        Verb::Run(args) => run::run(*args, db, cli.quiet).await,
        Verb::Resume(args) => run::resume(*args, db, cli.quiet).await,
        Verb::Import(args) => import::run(args, db, cli.quiet).await,
        Verb::Plan(args) => plan::run(*args, db, cli.quiet).await,
        Verb::Status(args) => status::run(args, db).await,
        Verb::Show(args) => show::run(args, db).await,
        Verb::Query(args) => query::run(args, db).await,
        Verb::Retry(args) => retry::run(args, db).await,
        Verb::Reprocess(args) => reprocess::run(*args, db, cli.quiet).await,
        Verb::Cancel(args) => cancel::run(args, db).await,
        Verb::Pause(args) => pause::run(args, db).await,
        Verb::Unpause(args) => unpause::run(args, db).await,
        Verb::Rate(args) => rate::run(args, db).await,
        Verb::Stop(args) => stop::run(args, db).await,
        Verb::Prune(args) => prune::run(args, db).await,
        Verb::Export(args) => export::run(*args, db, cli.quiet).await,
        Verb::Report(args) => report::run(args, db, cli.quiet).await,
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => man::run(&args),
        Verb::Demo(args) => {
            // Only a database that was named on the command line: HAUL_DB is that of real work.
            let named = cli.db.filter(|db| std::env::var_os("HAUL_DB").is_none_or(|set| set != db.as_os_str()));
            if named.as_deref().is_some_and(database::is_shared) {
                return Err(database::no_demo(db).into());
            }
            demo::run(args, named, cli.quiet).await
        }
    }
}

/// Says what failed and why, one cause a line, and gives the exit code for it.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    let mut out = anstream::stderr();
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(out, "error: {}", lines(error));
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        // Some errors end with what their cause says.
        let said = cause.to_string();
        if !last.ends_with(&said) {
            let _ = writeln!(out, "  because: {}", lines(&said));
        }
        last = said;
    }
    if let Some(hint) = exit::hint(error) {
        let _ = writeln!(out, "  {hint}");
    }
    ExitCode::from(exit::of_error(error).code())
}

/// Its lines stay lines: some point at a place in the one above.
fn lines(error: impl std::fmt::Display) -> String {
    error.to_string().lines().map(terminal::visible).collect::<Vec<_>>().join("\n")
}
