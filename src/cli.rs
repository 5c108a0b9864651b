//! The command line: one verb, one file.

pub(crate) mod query;
pub(crate) mod status;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// haul drains a table of HTTP jobs.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Cli {
    /// The database
    #[arg(long, global = true, env = "HAUL_DB", default_value = "haul.db", value_name = "PATH")]
    db: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Query(query::QueryArgs),
    Status(status::StatusArgs),
}

/// Does what the command line says.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.verb {
        Verb::Query(args) => query::run(args, &cli.db).await,
        Verb::Status(args) => status::run(args, &cli.db).await,
    }
}
