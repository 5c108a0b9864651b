//! `haul show`: everything about one job.

mod curl;
mod draw;
mod object;

use std::io::{self, Write};
use std::path::Path;

use clap::Args;
use haul::settings::Settings;
use haul::store::sqlite::detail::{Detail, Found, Which};

use super::database::detail;
use super::exit::{Exit, UsageError};
use super::next;
use super::terminal::{cut, quiet_if_closed, visible};

const EXAMPLES: &str = "\
Examples:
  haul show berlin
  haul show --id 17 --json | jq .tries
  haul show --id 17 --body > answer.png
  haul show berlin --curl | sh";

/// Show one job: its request, attempts, timings, response and result
///
/// Also while a run is going. Secrets are shown by name.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// Its key
    #[arg(value_name = "KEY", required_unless_present = "id", conflicts_with = "id", allow_hyphen_values = true)]
    key: Option<String>,
    /// Its number
    #[arg(long, value_name = "N")]
    id: Option<i64>,
    #[command(flatten)]
    shape: ShapeArgs,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct ShapeArgs {
    /// Only the stored response body, byte for byte
    #[arg(long)]
    body: bool,
    /// One JSON object: the result line, and request, tries and response
    #[arg(long)]
    json: bool,
    /// A command for sh that sends the same request with curl
    #[arg(long)]
    curl: bool,
}

/// Reads the job and writes it.
pub(crate) async fn run(args: ShowArgs, db: &Path) -> anyhow::Result<Exit> {
    let settings = super::run::last_settings(db).await?;
    let which = match (args.key, args.id) {
        (Some(key), _) => Which::Key(key),
        (None, id) => Which::Id(id.unwrap_or_default()),
    };
    let job = match detail(db, &which, &settings.retry_on).await? {
        Found::Job(job) => job,
        Found::Near(near) => return Err(unknown(&which, &near, db).into()),
    };
    let out = io::BufWriter::new(io::stdout());
    quiet_if_closed(write(out, &job, &settings, &args.shape)?)?;
    Ok(Exit::Done)
}

fn write(
    mut out: impl Write,
    job: &Detail,
    settings: &Settings,
    shape: &ShapeArgs,
) -> Result<io::Result<()>, UsageError> {
    let written = match shape {
        ShapeArgs { body: true, .. } => {
            let Some(stored) = &job.response else {
                let state = job.line.state.as_deref().unwrap_or_default();
                return Err(UsageError(format!("no response of this job is stored; its state is {state}")));
            };
            // Past everything that thinks of terminals.
            return Ok(io::stdout().write_all(&stored.body).and_then(|()| io::stdout().flush()));
        }
        ShapeArgs { json: true, .. } => serde_json::to_writer_pretty(&mut out, &object::Object::of(job))
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
        ShapeArgs { curl: true, .. } => out.write_all(curl::command(job, settings).as_bytes()),
        _ => draw::job(&mut out, job),
    };
    Ok(written.and_then(|()| out.flush()))
}

/// There is no such job.
fn unknown(which: &Which, near: &[String], db: &Path) -> UsageError {
    let named = |key: &String| format!("'{}'", visible(&cut(key, 60)));
    let (asked, near) = match which {
        Which::Id(id) => (format!("the id {id}"), near),
        Which::Key(key) => (format!("the key {}", named(key)), near),
    };
    let near: Vec<_> = near.iter().map(named).collect();
    let hint = match near.as_slice() {
        [] => format!("{} lists some", next::command("query 'SELECT id, key FROM jobs LIMIT 10'", db)),
        near => format!("near it are {}", near.join(", ")),
    };
    UsageError(format!("no job has {asked}; {hint}"))
}
