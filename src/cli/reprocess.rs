//! `haul reprocess`: your code again, over stored responses.

mod sample;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use haul::clock::Clock;
use haul::job::{State, Wish, was_answered};
use haul::pipeline::{self, Run, Summary};
use haul::process::Work;
use haul::settings::Settings;
use haul::stop::{Phase, Stop};
use haul::store::sqlite::console::Kind;
use haul::store::{RunOutcome, Store};

use super::choice::{Choice, many};
use super::database::Console;
use super::exit::Exit;
use super::flags::JudgingFlags;
use super::progress::{Progress, Style};
use super::run::{Held, last_settings, work};
use super::secrets::Given;
use super::summary::{self, End, Form};
use super::terminal::quiet_if_closed;
use super::{next, signals};

/// What is done again where nobody says which jobs.
const FINISHED: &str = "state IN ('succeeded', 'failed')";

/// Jobs that are found at once, at most: memory stays flat, and the reader's snapshot is let go of before much is written.
const PAGE: usize = 50_000;

const EXAMPLES: &str = "\
Examples:
  haul reprocess --process 'jq:.items | length' --dry-run 20    before and after; writes nothing
  haul reprocess --process 'jq:.items | length'                 all of them; remembered
  haul reprocess --where \"error_type = 'process_error'\"
  haul reprocess --where \"result IS NULL\"                      those that have none yet
  haul reprocess --fail-if none --success 2xx,404               judges the stored responses anew
  haul reprocess --rest                                         goes on with one that was cut off";

/// Run your code again over stored responses, on all cores; sends nothing
///
/// Succeeded jobs and those that failed on what the server answered are processed again. A new result replaces the old one;
/// where it fails, the old result stays, and the job is what it was. Responses that are waiting for their first processing
/// are processed too.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReprocessArgs {
    /// Only jobs for which this is true: a condition in SQL over job_view [default: all]
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// Only what an earlier reprocess left: it was interrupted, or died
    #[arg(long, conflicts_with_all = ["condition", "dry_run"])]
    rest: bool,
    /// Only show before and after of so many jobs [default: 20]; nothing is written
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20", value_parser = clap::value_parser!(u64).range(1..))]
    dry_run: Option<u64>,
    #[command(flatten)]
    judging: JudgingFlags,
    /// Give the search of jobs up after so much work of the database; 0s = never
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = super::flags::time)]
    timeout: Duration,
    /// How progress is shown on stderr
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: Style,
    /// The summary as JSON
    #[arg(long, conflicts_with = "dry_run")]
    json: bool,
}

/// What there is to do.
#[derive(Debug, Default)]
struct Plan {
    succeeded: u64,
    failed: u64,
    /// Finished without a response that is stored.
    pruned: u64,
    /// Failed without an answer.
    unanswered: u64,
}

/// `haul reprocess`.
pub(crate) async fn run(args: ReprocessArgs, db: &Path, quiet: bool) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let mut settings = last_settings(db).await?;
    args.judging.clone().apply(&mut settings)?;
    let work = work(&settings)?;
    if args.rest {
        let held = Held::take(db, false, settings.durability, clock).await?;
        held.alone().await?;
        let chosen = match held.store.marking().await? {
            None => None,
            Some(condition) => {
                let mut console = Console::open(db).await?;
                let choice = Choice::over(&mut console, &[condition], None, args.timeout).await;
                Some((choice.context("failed to look for the jobs that are left")?, console))
            }
        };
        return args.go(held, chosen, settings, work, quiet).await;
    }
    let mut console = Console::open(db).await?;
    let choice = Choice::over(&mut console, &[FINISHED.to_owned()], args.condition.as_deref(), args.timeout).await;
    let choice = choice.context("--where cannot be used")?;
    let kinds = choice.kinds(&mut console).await.context("failed to look for the jobs")?;
    let plan = Plan::of(&kinds);
    if let Some(most) = args.dry_run {
        if plan.jobs() > 0 {
            sample::show(&choice, &mut console, &settings, &work, most, clock).await?;
        }
        console.close().await?;
        let next = next::typed_without_its_value("--dry-run");
        let text = format!("{}\nnothing was changed (--dry-run)\nnext: {next}\n", plan.says());
        quiet_if_closed(anstream::stdout().write_all(text.as_bytes()))?;
        return Ok(Exit::Done);
    }
    if plan.jobs() == 0 {
        console.close().await?;
        quiet_if_closed(writeln!(anstream::stdout(), "{}", plan.says()))?;
        return Ok(Exit::Done);
    }
    let held = Held::take(db, false, settings.durability, clock).await?;
    held.alone().await?;
    if !quiet {
        quiet_if_closed(writeln!(anstream::stderr(), "{}", plan.says()))?;
    }
    args.go(held, Some((choice, console)), settings, work, quiet).await
}

impl ReprocessArgs {
    /// Says durably which jobs, and by what, then does it: whoever goes on after a crash knows both.
    async fn go(
        &self,
        held: Held,
        chosen: Option<(Choice, Console)>,
        settings: Settings,
        work: Work,
        quiet: bool,
    ) -> anyhow::Result<Exit> {
        let clock = held.clock();
        let stop = Stop::new();
        let seen = signals::watch(stop.clone()).context("failed to watch for signals")?;
        let intended = serde_json::to_string(&settings).context("failed to write the settings down")?;
        held.store.intend(&intended).await?;
        if let Some((choice, mut console)) = chosen {
            let marked = mark(&choice, &mut console, &held, &stop, clock).await;
            // Whoever still reads would keep the log from being folded in.
            console.close().await?;
            marked.context("failed to take up all of the jobs; `haul reprocess --rest` goes on")?;
        }
        let progress = Arc::new(Progress::start(self.progress, quiet, &[], clock).of_stored());
        let shown = progress.clone();
        let run = Run {
            settings: settings.clone(),
            work,
            sends: false,
            secrets: Given::default().lookup(),
            secret_headers: Vec::new(),
            limit: None,
            lasts: None,
            max_requests: None,
            max_wait: None,
            max_failures: None,
            stop_if: None,
            stop,
            on_event: Box::new(move |event| shown.event(event)),
            clock,
            host: haul::store::lock::host(),
        };
        let ended = pipeline::run(held.store.clone(), run).await;
        progress.finish();
        let next = next::command("reprocess --rest", held.path());
        let ended =
            ended.with_context(|| format!("failed to go on; no result is lost, and `{next}` does what is left"))?;
        let form = if self.json { Form::Json } else { Form::Stored };
        let (counts, failures) = (held.store.counts().await?, held.failures().await);
        summary::show(&End { summary: &ended, counts: &counts, failures: &failures }, &settings, held.path(), form)?;
        held.release().await?;
        Ok(exit(&ended, seen.signal()))
    }
}

/// The jobs go back to where their response is stored, in short transactions. Which ones they are is written down until all
/// have: `--rest` takes up those that a death or a stop left out.
async fn mark(choice: &Choice, console: &mut Console, held: &Held, stop: &Stop, clock: Clock) -> anyhow::Result<()> {
    held.store.mark(Some(choice.condition())).await?;
    let mut walk = choice.walk(clock).by(PAGE).alone();
    while stop.phase() == Phase::Go {
        match walk.next(console).await? {
            Some(ids) => held.store.grant(Wish::Reprocess, ids, clock.now_us()).await?,
            None => return Ok(held.store.mark(None).await?),
        };
    }
    Ok(())
}

fn exit(ended: &Summary, signal: Option<u8>) -> Exit {
    match ended.outcome {
        RunOutcome::Drained if ended.tally.failed > 0 => Exit::SomeFailed,
        RunOutcome::Drained => Exit::Done,
        RunOutcome::Interrupted => Exit::Signal(signal.unwrap_or(2)),
        RunOutcome::Stopped => Exit::Stopped,
        RunOutcome::Hopeless => Exit::Hopeless,
        RunOutcome::Error => Exit::Failed,
    }
}

impl Plan {
    fn of(kinds: &[Kind]) -> Self {
        let mut plan = Self::default();
        for kind in kinds {
            let answered = kind.state == State::Succeeded || was_answered(kind.error_type.as_ref());
            let of = match (kind.state, answered, kind.has_response) {
                (_, false, _) => &mut plan.unanswered,
                (_, _, false) => &mut plan.pruned,
                (State::Succeeded, ..) => &mut plan.succeeded,
                _ => &mut plan.failed,
            };
            *of += kind.jobs;
        }
        plan
    }

    fn jobs(&self) -> u64 {
        self.succeeded + self.failed
    }

    fn says(&self) -> String {
        let mut text = match self.jobs() {
            0 => "no job with a stored response matches: nothing to process again".to_owned(),
            n => format!(
                "{} to process again: {} succeeded, {} failed; no request",
                many(n, "job"),
                self.succeeded,
                self.failed
            ),
        };
        if self.pruned > 0 {
            text += &format!(
                "\nleft alone: {} without a stored response (pruned, or not kept); `haul retry --refetch` requests them again",
                many(self.pruned, "job")
            );
        }
        if self.unanswered > 0 {
            text += &format!(
                "\nleft alone: {} without an answer of the server; `haul retry` requests them again",
                many(self.unanswered, "failed job")
            );
        }
        text
    }
}
