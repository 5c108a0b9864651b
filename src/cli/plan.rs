//! `haul plan`: what a run would send, how long it takes, and what it needs. Sends nothing, and changes no database.

mod draw;
mod survey;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use haul::clock::{Clock, SECOND_US, micros};
use haul::limit::Limit;
use haul::report::plan::{Expected, Task, Window, expected, shortest_us};
use haul::report::{Jobs, Overview};
use haul::request::Request;
use haul::settings::Settings;
use haul::stop::Stop;

use self::survey::Surveyed;
use super::database::Reader;
use super::exit::{Exit, NothingThere};
use super::flags::{RequestFlags, WorkFlags};
use super::import::{self, InputFlags, open};
use super::run::{check, remembered, work};
use super::terminal::quiet_if_closed;
use super::{change, next, signals};

/// Requests that are shown.
const FIRST: usize = 3;

const EXAMPLES: &str = "\
Examples:
  haul plan cities.csv --url 'https://api.example.com/v1/geo?q={{ city }}' --rate 20/s
  haul run --limit 20           a trial: after it a plan knows how long a request takes
  haul plan --rate 50/s --sla 500ms
  haul plan --json | jq .expected.total_s";

/// Say what a run would send, how long it takes at best, and what it needs; sends nothing
///
/// Takes what `run` takes. An input is read, checked and compared with the database, but nothing is imported. What earlier
/// requests took (`haul run --limit 20` is a trial) tells the time to expect, the concurrency and cores that it needs, and
/// whether the SLA can hold.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlanArgs {
    /// What would be imported: files, '-' for standard input [default: nothing more than there is]
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    request: RequestFlags,
    #[command(flatten)]
    work: WorkFlags,
    /// As JSON; members are added over time, never changed
    #[arg(long)]
    json: bool,
}

/// What there is to say.
struct Plan {
    /// What the inputs would make.
    inputs: Vec<(String, haul::import::Summary)>,
    /// What is in the database.
    jobs: Jobs,
    /// What is sent first.
    first: Vec<Request>,
    /// It is the first of what is new, and jobs that are there go before.
    after_others: bool,
    settings: Settings,
    task: Task,
    expected: Option<Expected>,
    /// What to type next.
    next: String,
    /// Jobs not sent yet would be made anew first.
    rerenders: bool,
    /// `--strict`, and a row is rejected.
    refused: bool,
}

/// `haul plan`.
pub(crate) async fn run(args: PlanArgs, db: &Path, quiet: bool) -> anyhow::Result<Exit> {
    let last = remembered(db).await?;
    let mut settings = last.settings();
    let given = args.request.apply(&mut settings)?;
    args.work.apply(&mut settings)?;
    let reads = !args.inputs.is_empty() || args.input.repeats();
    // Before anything of the flags is shown.
    check(&settings, &given)?;
    let keeps_time = work(&settings)?.keeps_time();
    let opened = reads.then(|| open(&args.inputs, &args.input, &settings, db)).transpose()?;
    let strict = args.input.strict;
    let rerenders = change::settle(args.input.on_change, db, last, &settings, reads).await?.is_some();
    let mut there = Reader::open_if_there(db).await?;
    let overview = look(there.as_mut(), db, reads).await?;
    let mut surveyed = Surveyed::default();
    if let Some(opened) = opened {
        let stop = Stop::new();
        let seen = signals::watch(stop.clone()).context("failed to watch for signals")?;
        surveyed = survey::survey(opened, there.as_mut(), &stop, quiet).await?;
        if let Some(signal) = seen.signal() {
            return Ok(Exit::Signal(signal));
        }
    }
    let rejected = surveyed.rejected();
    let refused = strict && rejected > 0;
    let new = if refused { 0 } else { surveyed.added() };
    let jobs = overview.as_ref().map_or_else(Jobs::default, |overview| overview.jobs);
    let tried = match there.as_mut() {
        Some(reader) => reader.tried().await?,
        None => Vec::new(),
    };
    let after_others = !surveyed.first.is_empty() && jobs.pending > 0;
    let first = match there.as_mut() {
        _ if refused => Vec::new(),
        Some(reader) if surveyed.first.is_empty() && !rerenders => reader.first(FIRST).await?,
        _ => surveyed.first,
    };
    let windows = windows(&settings.limits, overview.as_ref(), there.as_mut()).await?;
    if let Some(reader) = there {
        reader.close().await?;
    }
    let task = task(&settings, keeps_time, windows, jobs, new);
    let expected = expected(&task, &tried);
    let trial = if expected.is_none() { "--limit 20" } else { "" };
    let next = match reads {
        true if refused || (rejected > 0 && new == 0) => "mend the input, and plan it again".to_owned(),
        false if jobs.left() == 0 => next::command(next::RESULTS, db),
        // What a flag gave as it is must not be shown again.
        _ if !given.is_empty() => format!("the same call with `run` in place of `plan` {trial}").trim_end().to_owned(),
        // Also without an input: other flags would be another run than the one that was planned.
        _ => next::typed_as("run", trial),
    };
    let plan =
        Plan { inputs: surveyed.inputs, jobs, first, after_others, settings, task, expected, next, rerenders, refused };
    let mut out = anstream::stdout();
    let written = match args.json {
        true => writeln!(out, "{}", draw::object(&plan)),
        false => draw::text(&mut out, &plan, db),
    };
    quiet_if_closed(written.and_then(|()| out.flush()))?;
    plan.inputs.iter().try_for_each(|(name, summary)| import::refuse_duplicates(name, summary))?;
    Ok(if rejected > 0 { Exit::Rejected } else { Exit::Done })
}

/// The numbers of the database, where there is one; without an input there must be.
async fn look(there: Option<&mut Reader>, db: &Path, reads: bool) -> anyhow::Result<Option<Overview>> {
    let nothing = |what: &str| {
        NothingThere(format!("{what} {}: name an input, `haul plan INPUT`, or a database with --db", db.display()))
    };
    let Some(reader) = there else {
        return if reads { Ok(None) } else { Err(nothing("no database at").into()) };
    };
    let overview = reader.overview(Clock::start()).await?;
    if overview.jobs.total == 0 && !reads {
        return Err(nothing("no job in").into());
    }
    Ok(Some(overview))
}

/// The limits, and what is left of them.
async fn windows(
    limits: &[Limit],
    overview: Option<&Overview>,
    there: Option<&mut Reader>,
) -> anyhow::Result<Vec<Window>> {
    let mut windows: Vec<_> = limits.iter().map(|limit| Window { limit: limit.clone(), left: None }).collect();
    let Some((overview, reader)) = overview.zip(there) else { return Ok(windows) };
    for window in &mut windows {
        let now = overview.limits.iter().find(|now| now.name == window.limit.name).and_then(|now| now.left);
        if let Some(left) = now.filter(|left| *left < u64::from(window.limit.permits)) {
            let frees_at = reader.frees_at(&window.limit, overview.at).await?;
            window.left = Some((left, frees_at.map_or(0, |at| (at - overview.at).max(0))));
        }
    }
    Ok(windows)
}

fn task(settings: &Settings, keeps_time: bool, windows: Vec<Window>, jobs: Jobs, new: u64) -> Task {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if settings.threads == 0 { cores } else { settings.threads };
    Task {
        to_send: jobs.pending + new,
        to_process: jobs.fetched,
        windows,
        concurrency: settings.concurrency,
        // A program on a thread may wait for something else than a core.
        cores: if keeps_time { threads } else { threads.min(cores) },
        sla_us: settings.sla.map(micros),
    }
}

impl Plan {
    /// No run is quicker.
    fn shortest_s(&self) -> f64 {
        shortest_us(self.task.to_send, &self.task.windows) as f64 / SECOND_US as f64
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("task", &self.task).finish_non_exhaustive()
    }
}

/// Lines of a plan stand under each other.
fn put(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{label:<11}{text}")
}
