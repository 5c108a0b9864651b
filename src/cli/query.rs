//! `haul query`: read-only SQL over the jobs.

mod format;
mod table;

use std::io::{IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use haul::store::sqlite::console::QueryError;

use super::database::{Console, Query};
use super::exit::Exit;
use super::terminal::quiet_if_closed;
use format::Format;
pub(crate) use format::base64;
use table::Table;

/// Bytes of a statement, at most; SQLite is told the same.
const SQL_BYTES: u64 = 1 << 20;

const EXAMPLES: &str = "\
Views made for this: job_view (everything about a job in one row), failures, latency, sla, throughput, slowest.

Examples:
  haul query 'SELECT * FROM failures'
  haul query 'SELECT key, url, status_code FROM job_view WHERE state = :s' -p s failed
  haul query \"SELECT key, result ->> '\\$.total' AS total FROM job_view ORDER BY total DESC LIMIT 10\"
  haul query --csv 'SELECT minute, finished, p99_ms FROM throughput' > minutes.csv
  haul query @report.sql --nl | jq .key
  haul query \"SELECT name FROM pragma_table_info('job_view')\"";

/// Ask the database anything, in SQL; nothing can be changed
///
/// One statement, read-only, also while a run is going. A table on a terminal, JSON off it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QueryArgs {
    /// The statement; `@FILE` reads it from a file, `-` from standard input
    #[arg(value_name = "SQL|@FILE|-")]
    sql: String,
    /// A value for the parameter :NAME
    #[arg(short, long = "param", num_args = 2, value_names = ["NAME", "VALUE"], allow_hyphen_values = true)]
    params: Vec<String>,
    #[command(flatten)]
    shape: ShapeArgs,
    /// Stop after so much work of the database; 0s = never
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = super::flags::time)]
    timeout: Duration,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct ShapeArgs {
    /// A table (the default on a terminal)
    #[arg(long)]
    table: bool,
    /// One JSON array of objects (the default off a terminal)
    #[arg(long)]
    json: bool,
    /// A JSON object per line
    #[arg(long, visible_alias = "jsonl")]
    nl: bool,
    /// Comma-separated, with a header line
    #[arg(long)]
    csv: bool,
    /// Tab-separated, with a header line
    #[arg(long)]
    tsv: bool,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    Table,
    Json,
    Lines,
    Csv,
    Tsv,
}

impl ShapeArgs {
    fn chosen(&self) -> Shape {
        match self {
            Self { table: true, .. } => Shape::Table,
            Self { json: true, .. } => Shape::Json,
            Self { nl: true, .. } => Shape::Lines,
            Self { csv: true, .. } => Shape::Csv,
            Self { tsv: true, .. } => Shape::Tsv,
            _ if std::io::stdout().is_terminal() => Shape::Table,
            _ => Shape::Json,
        }
    }
}

/// Runs the statement and writes its rows as they come.
pub(crate) async fn run(args: QueryArgs, db: &Path) -> anyhow::Result<Exit> {
    let sql = text_of(&args.sql)?;
    let params: Vec<_> = args.params.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    let timeout = if args.timeout.is_zero() { Duration::MAX } else { args.timeout };
    let mut console = Console::open(db).await?;
    let outcome = match console.prepare(&sql, &params).await {
        Ok(query) => answer(&mut console, &query, timeout, args.shape.chosen()).await,
        Err(e) => Err(e),
    };
    console.close().await?;
    outcome.with_context(|| format!("failed to run the query on {}", db.display()))?;
    Ok(Exit::Done)
}

fn text_of(given: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = match given.strip_prefix('@') {
        _ if given == "-" => std::io::stdin().lock().take(SQL_BYTES).read_to_string(&mut text),
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(SQL_BYTES).read_to_string(&mut text)),
        None => return Ok(given.to_owned()),
    };
    read.with_context(|| format!("failed to read the statement from {}", given.trim_start_matches('@')))?;
    Ok(text)
}

async fn answer(console: &mut Console, query: &Query<'_>, timeout: Duration, shape: Shape) -> Result<(), QueryError> {
    if shape == Shape::Table {
        return draw(console, query, timeout).await;
    }
    let mut format = Format::new(shape, query.columns(), std::io::BufWriter::new(std::io::stdout()));
    let outcome = match format.begin() {
        Ok(()) => console.run(query, timeout, |row| format.row(row).map(ControlFlow::Continue)).await,
        Err(e) => Err(e.into()),
    };
    let written = match outcome {
        Ok(()) => format.end(),
        Err(QueryError::Output(e)) => Err(e),
        Err(other) => {
            // The rows that came are shown, but a JSON array stays open: half an answer must not parse as a whole one.
            quiet_if_closed(format.flush())?;
            return Err(other);
        }
    };
    Ok(quiet_if_closed(written)?)
}

async fn draw(console: &mut Console, query: &Query<'_>, timeout: Duration) -> Result<(), QueryError> {
    let mut table = Table::new(query.columns());
    let outcome = console.run(query, timeout, |row| Ok(table.row(row))).await;
    let mut out = anstream::stdout();
    quiet_if_closed(table.draw(&mut out).and_then(|()| out.flush()))?;
    if let Some(note) = table.note() {
        // Where stderr is closed there is nobody to tell.
        let _ = writeln!(anstream::stderr(), "{note}");
    }
    outcome
}
