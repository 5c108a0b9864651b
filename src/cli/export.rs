//! `haul export`: answers leave, as lines of JSON, as a table, or as what reads batches.

mod batch;
mod bodies;
mod cells;
mod csv;
mod join;
mod target;

pub(crate) use target::{Target, is_of_database, real};

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use haul::fail_point::{Point, pass};
use haul::settings::Settings;
use haul::status::StatusSet;
use haul::stop::Stop;
use haul::store::sqlite::answers::{Answer, Selection};
use haul::store::sqlite::console::QueryError;

use self::bodies::Bodies;
use self::csv::{Columns, Csv};
use self::join::{Join, Joined};
use super::database::Console;
use super::exit::{Exit, UsageError};
use super::flags::RequestFlags;
use super::import::ReadFlags;
use super::signals;
use super::terminal::{cut, quiet_if_closed, visible};

const EXAMPLES: &str = "\
Examples:
  haul export -o results.jsonl
  haul export -o results.csv --where \"state = 'succeeded' AND latency_ms < 500\"
  haul export --join cities.csv -o answered.csv
  haul export --format openai-batch | gzip > output.jsonl.gz
  haul export --where \"state = 'failed'\" --bodies failed/";

/// Write results to a file or to standard output, in the order of the import
///
/// All finished jobs, or those of --where; also while a run is going: what is written is the table as it was at the beginning. A
/// file is written aside and renamed when it is whole.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, mut_arg("format", |arg| arg.long("input-format")))]
pub(crate) struct ExportArgs {
    /// Where to write; '-' is standard output [default: -]
    #[arg(short, long, value_name = "FILE|-")]
    output: Option<PathBuf>,
    /// csv, jsonl or openai-batch [default: as the name of FILE says, else jsonl]
    #[arg(id = "form", long = "format", value_name = "FORM", value_parser = form)]
    form: Option<Form>,
    /// Only jobs for which this is true, finished or not: SQL over job_view
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// Only jobs whose last attempt was in this run or a later one (a number of the table runs)
    #[arg(long, value_name = "RUN", value_parser = run_number)]
    since: Option<i64>,
    /// Stored response bodies too, each as a file of this folder
    #[arg(long, value_name = "DIR")]
    bodies: Option<PathBuf>,
    /// In CSV, put a ' before cells that a spreadsheet would run: those that begin with = + - @
    #[arg(long)]
    spreadsheet_safe: bool,
    /// Each row of this input once, in its order, with its answer; also those without one
    #[arg(long, value_name = "INPUT|-", conflicts_with_all = ["condition", "since"])]
    join: Option<PathBuf>,
    #[command(flatten)]
    input: ReadFlags,
    #[command(flatten)]
    request: RequestFlags,
}

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Jsonl,
    Csv,
    Batch,
}

const WHERE: &str = "--where cannot be used";

fn run_number(text: &str) -> Result<i64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        "write the number of a run; `haul query 'SELECT id, started_at_us FROM runs'` lists them".to_owned()
    })
}

fn form(text: &str) -> Result<Form, String> {
    match text {
        "jsonl" => Ok(Form::Jsonl),
        "csv" => Ok(Form::Csv),
        "openai-batch" => Ok(Form::Batch),
        _ => Err("write csv, jsonl or openai-batch".to_owned()),
    }
}

/// Takes one answer.
pub(crate) type Take<'a> = dyn FnMut(&Answer) -> io::Result<()> + Send + 'a;

/// What is read, and how.
struct Source<'a> {
    console: Console,
    retry_on: StatusSet,
    with_response: bool,
    rows: Rows<'a>,
}

enum Rows<'a> {
    Table(Selection<'a>),
    Join(Join<'a>),
}

/// `haul export`.
pub(crate) async fn run(args: ExportArgs, db: &Path, quiet: bool) -> anyhow::Result<Exit> {
    let file = args.output.as_deref().filter(|path| *path != "-");
    let form = chosen(&args, file)?;
    let settings = super::run::last_settings(db).await?;
    let source = open(&args, form, settings, db).await?;
    let bodies = args.bodies.as_deref().map(Bodies::open).transpose()?;
    // Before the file is there, so that it never stays half-written. Standard output leaves nothing behind.
    let seen = file.map(|_| signals::watch(Stop::new())).transpose().context("failed to watch for signals")?;
    let target = file.map_or_else(|| Ok(Target::stdout()), |path| Target::file(path, db, args.join.as_deref()))?;
    let work = write(source, target, form, bodies, args.spreadsheet_safe);
    let outcome = match seen {
        None => work.await,
        Some(seen) => tokio::select! {
            outcome = work => outcome,
            // Nothing is lost with a reader that is broken off, and the file that it wrote is removed.
            signal = signal(&seen) => return Ok(Exit::Signal(signal)),
        },
    };
    match outcome {
        Err(error) if is_closed_pipe(&error) => Ok(Exit::Done),
        Err(error) => Err(error.context(file.map_or_else(
            || "failed to export".to_owned(),
            |path| format!("failed to export to {}; what was there before is untouched, export again", path.display()),
        ))),
        Ok((rows, joined)) => {
            tell(&args, rows, &joined, quiet);
            Ok(if joined.rejected > 0 { Exit::Rejected } else { Exit::Done })
        }
    }
}

fn chosen(args: &ExportArgs, file: Option<&Path>) -> Result<Form, UsageError> {
    let named = file.and_then(Path::extension).is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let form = args.form.unwrap_or(if named { Form::Csv } else { Form::Jsonl });
    let wrong = match (form, &args.join) {
        (Form::Batch, Some(_)) => "--format openai-batch has no rows to join; write jsonl or csv",
        (Form::Csv, Some(path)) if path == "-" => {
            "--join - cannot be written as CSV, whose columns are found before the first row is written; name a file, or \
             write --format jsonl"
        }
        (Form::Jsonl | Form::Batch, _) if args.spreadsheet_safe => "--spreadsheet-safe is about --format csv",
        _ => return Ok(form),
    };
    Err(UsageError(wrong.to_owned()))
}

async fn open<'a>(args: &'a ExportArgs, form: Form, settings: Settings, db: &Path) -> anyhow::Result<Source<'a>> {
    let mut console = Console::snapshot(db).await?;
    let retry_on = settings.retry_on.clone();
    let with_response = args.bodies.is_some() || form == Form::Batch;
    if let Some(run) = args.since
        && let (false, last) = console.has_run(run).await?
    {
        let last = last.map_or_else(|| "nothing has run yet".to_owned(), |last| format!("the last is {last}"));
        return Err(UsageError(format!(
            "there is no run {run}; {last} (haul query 'SELECT id, started_at_us FROM runs')"
        ))
        .into());
    }
    let rows = match &args.join {
        Some(path) => Rows::Join(Join::new(path, &args.input, args.request.clone(), settings, &mut console).await?),
        None => Rows::Table(Selection { condition: args.condition.as_deref(), since_run: args.since, with_response }),
    };
    match &rows {
        // Wrong ones are refused before anything is made.
        Rows::Table(selection) => drop(console.select(selection).await.context(WHERE)?),
        Rows::Join(join) if !join.is_stream() => drop(join.open()?),
        Rows::Join(_) => {}
    }
    Ok(Source { console, retry_on, with_response, rows })
}

impl Source<'_> {
    /// Hands over each answer, in order.
    async fn each(&mut self, take: &mut Take<'_>) -> anyhow::Result<Joined> {
        match &self.rows {
            Rows::Join(join) => join.each(&mut self.console, self.with_response, &self.retry_on, take).await,
            Rows::Table(selection) => {
                let query = self.console.select(selection).await?;
                let retry_on = &self.retry_on;
                let each = |row: &[_]| {
                    take(&Answer::read(row, retry_on).map_err(io::Error::other)?)?;
                    Ok(ControlFlow::Continue(()))
                };
                // Whoever exports ten million jobs has the time.
                self.console.run(&query, Duration::MAX, each).await?;
                Ok(Joined::default())
            }
        }
    }

    /// All columns that there are.
    async fn columns(&mut self) -> anyhow::Result<Columns> {
        let mut columns = match &self.rows {
            Rows::Join(join) => Columns::known(join.open()?.columns()),
            Rows::Table(_) => Columns::default(),
        };
        self.each(&mut |answer| columns.see(&answer.line)).await?;
        Ok(columns)
    }
}

/// Writes everything; gives the number of rows.
async fn write(
    mut source: Source<'_>,
    mut target: Target,
    form: Form,
    bodies: Option<Bodies>,
    safe: bool,
) -> anyhow::Result<(u64, Joined)> {
    let mut rows = 0;
    let mut also = |answer: &Answer| {
        rows += 1;
        pass(Point::ExportRow);
        bodies.as_ref().map_or(Ok(()), |bodies| bodies.write(answer))
    };
    let joined = match form {
        Form::Csv => {
            let columns = source.columns().await?;
            let mut csv = Csv::new(columns, &mut target, safe)?;
            let joined = source.each(&mut |answer| csv.row(&answer.line).and_then(|()| also(answer))).await?;
            csv.end()?;
            joined
        }
        Form::Jsonl => {
            let line = &mut |answer: &Answer| {
                serde_json::to_writer(&mut target, &answer.line)?;
                target.write_all(b"\n").and_then(|()| also(answer))
            };
            source.each(line).await?
        }
        Form::Batch => source.each(&mut |answer| batch::line(&mut target, answer).and_then(|()| also(answer))).await?,
    };
    target.finish()?;
    source.console.close().await?;
    Ok((rows, joined))
}

/// Returns when there was one.
async fn signal(seen: &signals::Seen) -> u8 {
    loop {
        if let Some(signal) = seen.signal() {
            return signal;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whoever read standard output has seen enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref() {
        Some(QueryError::Output(error)) => error.kind() == io::ErrorKind::BrokenPipe,
        _ => cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe),
    };
    error.chain().any(closed)
}

/// Says on stderr what was written: standard output belongs to the rows.
fn tell(args: &ExportArgs, rows: u64, joined: &Joined, quiet: bool) {
    let mut text = String::new();
    if let Some(file) = args.output.as_deref().filter(|path| *path != "-") {
        text += &format!("{}: {rows} rows\n", visible(&file.display().to_string()));
    }
    if let Some(input) = &args.join {
        let Joined { found, missing, rejected, .. } = joined;
        let input = visible(&input.display().to_string());
        text += &format!("{input}: {found} rows with a job, {missing} without, {rejected} rejected\n");
        for reason in &joined.reasons {
            text += &format!("  {}\n", visible(&cut(reason, 300)));
        }
    }
    if !quiet {
        // Where stderr is closed there is nobody to tell.
        _ = quiet_if_closed(anstream::stderr().write_all(text.as_bytes()));
    }
}
