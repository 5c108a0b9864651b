//! `haul run` and `haul resume`: import what is given, if anything, then drain.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use haul::clock::Clock;
use haul::fetch::Fetcher;
use haul::hope::MaxFailures;
use haul::job::State;
use haul::limit::Limit;
use haul::pipeline::{self, Run, Summary};
use haul::process::{Rule, Work};
use haul::progress::count;
use haul::report::FailureKind;
use haul::settings::{Durability, RequestTemplate, Settings};
use haul::stop::Stop;
use haul::store::lock::{LockError, RunLock};
use haul::store::sqlite;
use haul::store::{RunOutcome, Store, StoreError};

use super::database::{self, Database};
use super::exit::{Exit, NothingThere, UsageError};
use super::flags::{CredentialFlags, RequestFlags, WorkFlags};
use super::import::{InputFlags, import, open};
use super::metrics::{Metrics, Place};
use super::progress::{Progress, Style};
use super::secrets::{self, Given};
use super::signals::{self, Seen};
use super::summary::{self, End};
use super::terminal::visible;
use super::{change, rate, stop};

const EXAMPLES: &str = "\
Examples:
  haul run urls.txt --rate 20/s
  haul run cities.csv --url 'https://api.example.com/v1/geo?q={{ city }}' --rate 20/s \\
      --process 'jq:.results[0]'
  haul run urls.txt --process 'cmd:python3 process.py' --pass-env MODEL --process-timeout 10s
  haul run batch.jsonl --base-url https://api.example.com/v1 --key '{{ custom_id }}-2'
  haul run                      go on with what is left, as the last run did
  haul run --limit 20           a trial: begin 20 jobs, then stop
  haul run --max-failures 5% --stop-if 'jq:.error.code == \"quota\"'";

/// Import what is given, if anything, then drain until nothing is left to do; run again to resume
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// Files to import first, '-' for standard input: a URL a line, CSV with a header, or a JSON object a line
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    request: RequestFlags,
    #[command(flatten)]
    work: WorkFlags,
    #[command(flatten)]
    once: OnceFlags,
}

/// Go on where the last run stopped, as it did
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  haul resume\n  haul resume --rate 10/s\n  haul resume -H \"Authorization: Bearer $TOKEN\"\n  haul --db other.db resume --for 10m"
)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    credentials: CredentialFlags,
    #[command(flatten)]
    work: WorkFlags,
    #[command(flatten)]
    once: OnceFlags,
}

/// What is about one run alone, and not remembered.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "This run only")]
pub(crate) struct OnceFlags {
    /// Begin at most so many jobs, then stop
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Stop after this long: 90s, 10m, 8h
    #[arg(long = "for", value_name = "TIME", value_parser = super::flags::time)]
    lasts: Option<Duration>,
    /// Send at most so many requests, retries included, then stop
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_requests: Option<u64>,
    /// Stop where a limit, or a pause that the server asks for, has the next request wait longer than this: 10m, 8h
    #[arg(long, value_name = "TIME", value_parser = super::flags::time)]
    max_wait: Option<Duration>,
    /// Stop with exit 5 once so many jobs, or so many % of those finished, failed for good [default: the first 20 all did, or 10 in a row by TLS]
    #[arg(long, value_name = "N|P%")]
    max_failures: Option<MaxFailures>,
    /// Stop with exit 5 once this jq expression is true of the body of a response, whatever its status; 'jq:@FILE' too
    #[arg(long, value_name = "jq:EXPR", value_parser = Rule::from_setting)]
    stop_if: Option<Rule>,
    /// How progress is shown on stderr
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: Style,
    /// Tell Prometheus how it goes: a FILE written anew every 3 s, or http://ADDR/metrics (127.0.0.1:9464) while it goes
    #[arg(long, value_name = "FILE|ADDR", value_parser = super::metrics::to)]
    metrics: Option<super::metrics::To>,
    /// The summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Credentials that flags gave as they are.
    #[arg(skip)]
    given: Given,
}

impl OnceFlags {
    /// Takes the place where metrics are told.
    pub(crate) async fn place(&self, db: &Path) -> Result<Place, UsageError> {
        Place::take(self.metrics.clone(), db).await
    }
}

/// `haul run`.
pub(crate) async fn run(args: RunArgs, db: &Path, quiet: bool) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let last = remembered(db).await?;
    let mut settings = last.settings();
    let mut once = args.once;
    once.given = args.request.apply(&mut settings)?;
    args.work.apply(&mut settings)?;
    rate::tell_of_environment(&last, &settings);
    check(&settings, &once.given)?;
    let work = work(&settings)?;
    let given = !args.inputs.is_empty() || args.input.repeats();
    let opened = given.then(|| open(&args.inputs, &args.input, &settings, db)).transpose()?;
    let place = once.place(db).await?;
    // The import remembers the new template itself, once there are jobs of it.
    let intended = Settings { template: last.settings().template, ..settings.clone() };
    let change = change::settle(args.input.on_change, db, last, &settings, given).await?;
    let held = Held::take(db, opened.is_some(), settings.durability, clock).await?;
    let stop = Stop::new();
    let seen = signals::watch(stop.clone()).context("failed to watch for signals")?;
    if let Some(change) = change
        && !change.carry_out(&*held.store, db, &stop, clock, quiet).await?
    {
        held.release().await?;
        return Ok(seen.signal().map_or(Exit::Stopped, Exit::Signal));
    }
    let mut rejected = 0;
    let intended = serde_json::to_string(&intended).context("failed to write the settings down")?;
    held.store.intend(&intended).await?;
    if let Some(opened) = opened {
        rejected = import(&*held.store, db, opened, clock, &stop, quiet).await?.rejected;
        if let Some(signal) = seen.signal() {
            held.release().await?;
            return Ok(Exit::Signal(signal));
        }
        if rejected > 0 && args.input.strict {
            held.release().await?;
            return Ok(Exit::Rejected);
        }
    }
    // While it imported, another terminal may have changed the limits; the database says what is intended.
    settings.limits = remembered(db).await?.settings().limits;
    let exit = drain(held, settings, work, once, Watch { stop, seen, quiet, place, demo: false }).await?;
    Ok(if exit == Exit::Done && rejected > 0 { Exit::Rejected } else { exit })
}

/// `haul resume`.
pub(crate) async fn resume(args: ResumeArgs, db: &Path, quiet: bool) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let last = remembered(db).await?;
    let mut settings = last.settings();
    let mut once = args.once;
    once.given = args.credentials.give(&settings, &last.imported)?;
    args.work.apply(&mut settings)?;
    rate::tell_of_environment(&last, &settings);
    check(&settings, &once.given)?;
    let work = work(&settings)?;
    let place = once.place(db).await?;
    let held = Held::take(db, false, settings.durability, clock).await?;
    let stop = Stop::new();
    let seen = signals::watch(stop.clone()).context("failed to watch for signals")?;
    drain(held, settings, work, once, Watch { stop, seen, quiet, place, demo: false }).await
}

/// What is wrong with secrets, proxy and certificates is told before a database is made or a request sent.
pub(crate) fn check(settings: &Settings, given: &Given) -> anyhow::Result<()> {
    secrets::check(settings, given)?;
    if settings.proxy.is_some() || settings.ca_file.is_some() {
        Fetcher::new(Arc::new(settings.clone()), given.lookup(), Clock::start())?;
    }
    if settings.insecure {
        tracing::warn!(
            "--insecure: the certificates of servers are not checked, so anybody on the way may read and change"
        );
    }
    Ok(())
}

/// What the last run was told, the defaults where there was none, with the request flags of an import after it.
pub(crate) async fn last_settings(db: &Path) -> anyhow::Result<Settings> {
    Ok(remembered(db).await?.settings())
}

/// What a database remembers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Remembered {
    run: Option<Settings>,
    template: Option<RequestTemplate>,
    /// Of every import: jobs of each may wait still.
    imported: Vec<RequestTemplate>,
}

impl Remembered {
    /// What the next run does unless it is told otherwise.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = self.run.clone().unwrap_or_default();
        if let Some(template) = &self.template {
            settings.template.clone_from(template);
        }
        settings
    }

    /// The limits of the last run, or those it was to have next; `None` where there was none.
    pub(crate) fn limits(&self) -> Option<&[Limit]> {
        self.run.as_ref().map(|settings| settings.limits.as_slice())
    }

    /// How requests are made now; `None` where nobody has said so yet.
    pub(crate) fn template(&self) -> Option<&RequestTemplate> {
        self.template.as_ref().or(self.run.as_ref().map(|settings| &settings.template))
    }
}

/// Reads what the database remembers, if it is there.
pub(crate) async fn remembered(db: &Path) -> anyhow::Result<Remembered> {
    let sqlite::Remembered { settings: run, template, imported } = match database::remembered(db).await {
        Ok(found) => found,
        // To be created, or to be complained about by who needs it.
        Err(StoreError::Missing { .. }) => return Ok(Remembered::default()),
        Err(error) => return Err(error.into()),
    };
    let run = run.map(|json| serde_json::from_str(&json).context("failed to read the settings of the last run"));
    let flags = |json: String| serde_json::from_str(&json).context("failed to read the request flags of an import");
    Ok(Remembered {
        run: run.transpose()?,
        template: template.map(flags).transpose()?,
        imported: imported.into_iter().map(flags).collect::<Result<_, _>>()?,
    })
}

/// Takes the run lock.
pub(crate) fn lock(db: &Path, clock: Clock) -> Result<RunLock, LockError> {
    let since = haul::report::iso_8601(clock.now_us());
    RunLock::take(db, &format!("pid {} on {} since {since}", std::process::id(), haul::store::lock::host()))
}

/// A database held by this run alone.
pub(crate) struct Held {
    pub(crate) store: Arc<Database>,
    path: PathBuf,
    /// The clock by which a run over it goes.
    clock: Clock,
    /// Of a file: on a server many runs are many workers.
    _lock: Option<RunLock>,
}

impl Held {
    /// Takes the run lock and opens the database.
    pub(crate) async fn take(db: &Path, create: bool, durability: Durability, clock: Clock) -> anyhow::Result<Self> {
        let shared = database::is_shared(db);
        if !create && !shared && !db.exists() {
            let text = format!("no database at {}: begin with `haul run INPUT`, or name one with --db", db.display());
            return Err(NothingThere(text).into());
        }
        let lock = if shared { None } else { Some(lock(db, clock)?) };
        let (store, clock) = Database::open_to_run(db, durability, create, clock).await?;
        if !create && store.counts().await?.is_empty() {
            let text = format!("no job in {}: import some with `haul run INPUT`", db.display());
            return Err(NothingThere(text).into());
        }
        Ok(Self { store: Arc::new(store), path: db.to_owned(), clock, _lock: lock })
    }

    /// Nobody else is at work on it: of a file its lock says that, on a server any worker may be.
    pub(crate) async fn alone(&self) -> anyhow::Result<()> {
        if !database::is_shared(&self.path) {
            return Ok(());
        }
        match database::overview(&self.path, self.clock).await?.run.filter(stop::is_going) {
            Some(run) => {
                let holder = format!("pid {} on {}", run.pid, visible(&run.host));
                Err(LockError::Held { path: self.path.display().to_string(), holder }.into())
            }
            None => Ok(()),
        }
    }

    /// The clock by which a run over it goes.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What failed, with an example of each type; nothing where that cannot be read, as it is for people alone.
    pub(crate) async fn failures(&self) -> Vec<FailureKind> {
        let overview = database::overview(&self.path, self.clock).await;
        overview.map(|overview| overview.failures).unwrap_or_default()
    }

    /// Closes the database, which tidies its write-ahead log away, and then lets go of the lock.
    pub(crate) async fn release(self) -> anyhow::Result<()> {
        match Arc::try_unwrap(self.store) {
            Ok(store) => Ok(store.close().await?),
            // A task that was left behind still has it; SQLite tidies up at the next opening.
            Err(_) => Ok(()),
        }
    }
}

/// Who may end a run, and who sees it.
pub(crate) struct Watch {
    pub(crate) stop: Stop,
    pub(crate) seen: Seen,
    pub(crate) quiet: bool,
    /// Where metrics are told.
    pub(crate) place: Place,
    /// `haul demo` knows better what to type next.
    pub(crate) demo: bool,
}

pub(crate) fn work(settings: &Settings) -> Result<Work, UsageError> {
    let work = Work::from_settings(settings).map_err(|e| unusable("--process", &e))?;
    match &settings.fail_if {
        Some(rule) => {
            let rule = Rule::from_setting(rule).map_err(|e| unusable("--fail-if", &e))?;
            Ok(work.unless(rule))
        }
        None => Ok(work),
    }
}

/// What is wrong with the flag, and why its file cannot be read.
fn unusable(flag: &str, error: &dyn std::error::Error) -> UsageError {
    let why = error.source().map(|why| format!(": {why}")).unwrap_or_default();
    UsageError(format!("{flag}: {error}{why}"))
}

/// Drains, shows how it goes, and says how it ended.
pub(crate) async fn drain(
    held: Held,
    mut settings: Settings,
    work: Work,
    once: OnceFlags,
    watch: Watch,
) -> anyhow::Result<Exit> {
    let Watch { stop, seen, quiet, place, demo } = watch;
    let clock = held.clock;
    secrets::check_imported(&held.store, &once.given).await?;
    if let Some(before) = settings.processed_by(work.version())
        && count(&held.store.counts().await?, Some(State::Succeeded), None) > 0
    {
        let now = &**work.version();
        tracing::warn!(before, now, "the processor is another one than in the last run; results that are there stay");
    }
    if !database::is_shared(&held.path) && sqlite::disk(&held.path) == sqlite::Disk::Memory && !demo {
        let database = visible(&held.path.display().to_string());
        tracing::warn!(
            "{database} is not durable: it lies on a file system in memory, and is gone when the machine stops; name one on \
             a disk with --db"
        );
    }
    let metrics = Arc::new(Metrics::begin(place, &held.path, clock, quiet).await?);
    let progress = Arc::new(Progress::start(once.progress, quiet, &settings.limits, clock));
    let (shown, told) = (progress.clone(), metrics.clone());
    let run = Run {
        settings: settings.clone(),
        work,
        sends: true,
        secrets: once.given.lookup(),
        secret_headers: Vec::new(),
        limit: once.limit,
        lasts: once.lasts,
        max_requests: once.max_requests,
        max_wait: once.max_wait,
        max_failures: once.max_failures,
        stop_if: once.stop_if,
        stop,
        on_event: Box::new(move |event| {
            shown.event(event);
            told.event(event);
        }),
        clock,
        host: haul::store::lock::host(),
    };
    let ended = pipeline::run(held.store.clone(), run).await;
    progress.finish();
    metrics.finish().await;
    let ended = ended.with_context(|| {
        format!("failed to go on with {}; nothing is lost, `haul resume` goes on", held.path.display())
    })?;
    let counts = held.store.counts().await?;
    let exit = exit(&ended, seen.signal(), count(&counts, Some(State::Failed), None), left(&counts));
    let form = match (once.json, demo) {
        (true, _) => summary::Form::Json,
        (false, true) => summary::Form::WithoutNext,
        (false, false) => summary::Form::Text,
    };
    let end = End { summary: &ended, counts: &counts, failures: &held.failures().await };
    summary::show(&end, &settings, &held.path, form)?;
    held.release().await?;
    Ok(exit)
}

fn left(counts: &haul::store::Counts) -> u64 {
    count(counts, Some(State::Pending), None) + count(counts, Some(State::Fetched), None)
}

fn exit(summary: &Summary, signal: Option<u8>, failed: u64, left: u64) -> Exit {
    match summary.outcome {
        _ if left == 0 && failed > 0 => Exit::SomeFailed,
        _ if left == 0 => Exit::Done,
        RunOutcome::Interrupted => Exit::Signal(signal.unwrap_or(2)),
        RunOutcome::Drained | RunOutcome::Stopped => Exit::Stopped,
        RunOutcome::Hopeless => Exit::Hopeless,
        RunOutcome::Error => Exit::Failed,
    }
}
