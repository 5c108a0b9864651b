//! `haul retry`: failed jobs go back to the stage that failed.

mod filter;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use clap::Args;
use haul::clock::Clock;
use haul::job::{Standing, State, Wish, wished};
use haul::settings::Durability;
use haul::store::sqlite::console::Kind;
use haul::store::{Granted, Store};

use super::choice::{Choice, SearchFlags, many};
use super::confirm::confirm;
use super::database::{Console, Database};
use super::exit::Exit;
use super::next;
use super::stop::going;
use super::terminal::{quiet_if_closed, visible};
use filter::FilterFlags;

/// Types of failures that are named; the others are counted together.
const TYPES: usize = 5;

const EXAMPLES: &str = "\
Examples:
  haul retry                                       all failed jobs; says what it costs, and asks
  haul retry --status 5xx --dry-run                only says how many that would be
  haul retry --error timeout,connect --yes         asks nothing
  haul retry --where \"url LIKE '%/v1/%'\"           over job_view, as in `haul query`
  haul retry --refetch --where \"state = 'cancelled'\"
  haul retry --refetch --where \"finished_at < '2026-11-01'\"";

/// Send failed jobs back to the stage that failed; what failed in processing costs no request
///
/// Their failures are forgiven, so they have all their tries again. It works while a run is going, which takes them up at once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    filter: FilterFlags,
    /// Request again, whatever their state: any jobs that no run holds; needs --where
    #[arg(long, requires = "condition")]
    refetch: bool,
    #[command(flatten)]
    search: SearchFlags,
    /// Ask nothing; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
}

/// What would become of the jobs that were found.
#[derive(Debug, Default)]
struct Plan {
    granted: Granted,
    /// Jobs that go on, by what they come from.
    from: BTreeMap<String, u64>,
}

/// `haul retry`.
pub(crate) async fn run(args: RetryArgs, db: &Path) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let wish = if args.refetch { Wish::Refetch } else { Wish::Retry };
    let mut console = Console::open(db).await?;
    let choice = args.filter.choice(&mut console, wish, &args.search).await?;
    let kinds = choice.kinds(&mut console).await.context("failed to look for the jobs")?;
    let plan = Plan::of(wish, &kinds);
    if plan.granted.moved() == 0 {
        let left = args.filter.left_out(&mut console, wish, &args.search).await?;
        console.close().await?;
        quiet_if_closed(say(&mut anstream::stdout(), &nothing(wish, &plan.granted, left)))?;
        return Ok(Exit::Done);
    }
    if args.search.dry_run {
        console.close().await?;
        let mut out = anstream::stdout();
        let shown = plan.show(&mut out).and_then(|()| say(&mut out, "nothing was changed (--dry-run)"));
        let next = next::typed_without("--dry-run");
        quiet_if_closed(shown.and_then(|()| say(&mut out, &format!("next: {next}"))))?;
        return Ok(Exit::Done);
    }
    quiet_if_closed(plan.show(&mut anstream::stderr()))?;
    if !confirm(if args.refetch { "Request them again?" } else { "Retry them?" }, args.yes)? {
        console.close().await?;
        return Ok(Exit::Done);
    }
    let granted = grant(wish, &choice, console, db, clock).await;
    let granted = granted.context("failed to move all of the jobs; run the same again for the rest")?;
    done(&granted, db, clock).await?;
    Ok(Exit::Done)
}

/// Moves them, chunk by chunk: a run that is going is never kept waiting for long.
pub(super) async fn grant(
    wish: Wish,
    choice: &Choice,
    mut console: Console,
    db: &Path,
    clock: Clock,
) -> anyhow::Result<Granted> {
    let store = Database::open(db, Durability::PowerLoss, false).await?;
    let granted = grant_all(wish, choice, &mut console, &store, clock).await;
    // The last one to close folds the write-ahead log in, which who only reads cannot.
    console.close().await?;
    store.close().await?;
    granted
}

async fn grant_all(
    wish: Wish,
    choice: &Choice,
    console: &mut Console,
    store: &Database,
    clock: Clock,
) -> anyhow::Result<Granted> {
    let mut all = Granted::default();
    let mut walk = choice.walk(clock);
    while let Some(ids) = walk.next(console).await? {
        all += store.grant(wish, ids, clock.now_us()).await?;
    }
    Ok(all)
}

/// What the jobs of a kind count as, by the rule that the store keeps to.
pub(super) fn expect(wish: Wish, kinds: &[Kind]) -> impl Iterator<Item = (&Kind, Granted)> {
    kinds.iter().map(move |kind| {
        let from = Standing { state: kind.state, ..Standing::default() };
        let to = wished(wish, from, kind.error_type.as_ref(), kind.has_response);
        let n = kind.jobs;
        let granted = match to.map(|to| to.state) {
            _ if kind.held => Granted { held: n, ..Granted::default() },
            None => Granted { unfit: n, ..Granted::default() },
            Some(State::Fetched) => Granted { fetched: n, ..Granted::default() },
            Some(State::Cancelled) => Granted { cancelled: n, ..Granted::default() },
            Some(_) => Granted { pending: n, ..Granted::default() },
        };
        (kind, granted)
    })
}

impl Plan {
    fn of(wish: Wish, kinds: &[Kind]) -> Self {
        let mut plan = Self::default();
        for (kind, granted) in expect(wish, kinds) {
            plan.granted += granted;
            if granted.moved() > 0 {
                let from = kind.error_type.as_ref().map_or(kind.state.as_str(), |error_type| error_type.as_str());
                *plan.from.entry(from.to_owned()).or_default() += granted.moved();
            }
        }
        plan
    }

    fn show(&self, out: &mut impl Write) -> io::Result<()> {
        say(out, &format!("{}: {}", many(self.granted.moved(), "job"), cost(&self.granted)))?;
        let mut from: Vec<_> = self.from.iter().collect();
        from.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let (named, others) = from.split_at(from.len().min(TYPES));
        for (word, n) in named {
            say(out, &format!("  {n} x {}", visible(word)))?;
        }
        if !others.is_empty() {
            let n = others.iter().map(|(_, n)| **n).sum::<u64>();
            say(out, &format!("  {n} of {}", many(others.len() as u64, "other type")))?;
        }
        match self.granted.held {
            0 => Ok(()),
            held => say(out, &format!("{} in flight now: left alone", many(held, "other"))),
        }
    }
}

/// `9 requests, 3 only processed again`.
fn cost(granted: &Granted) -> String {
    match granted {
        Granted { fetched: 0, pending, .. } => many(*pending, "request"),
        Granted { fetched, pending: 0, .. } => format!("no request, {fetched} only processed again"),
        Granted { fetched, pending, .. } => format!("{}, {fetched} only processed again", many(*pending, "request")),
    }
}

/// `left` = jobs in other states for which all else is true.
fn nothing(wish: Wish, granted: &Granted, left: u64) -> String {
    match (wish, granted.held, left) {
        (Wish::Refetch, 0, _) => "no job matches: nothing to request again".to_owned(),
        (Wish::Refetch, held, _) => format!("{} in flight now: nothing else to request again", many(held, "job")),
        (_, _, 0) => "no failed job matches: nothing to retry".to_owned(),
        (_, _, left) => format!(
            "no failed job matches: nothing to retry; {} in other states: --refetch requests those again",
            many(left, "job")
        ),
    }
}

/// Says what was done, and the next command.
async fn done(granted: &Granted, db: &Path, clock: Clock) -> anyhow::Result<()> {
    let (run, verb) = going(db, clock).await?;
    let mut out = anstream::stdout();
    let mut text = format!("{}: {}\n", many(granted.moved(), "job"), cost(granted));
    text += &left_alone(granted);
    if let Some(run) = &run {
        text += &format!("the run that is going (pid {}) takes them up\n", run.pid);
    }
    let verb = if run.is_some() { "status" } else { verb };
    text += &format!("next: {}", next::command(verb, db));
    quiet_if_closed(say(&mut out, &text).and_then(|()| out.flush()))?;
    Ok(())
}

/// Jobs that went elsewhere between the search and the deed.
pub(super) fn left_alone(granted: &Granted) -> String {
    let held = (granted.held > 0).then(|| format!("{} in flight now", granted.held));
    let unfit = (granted.unfit > 0).then(|| format!("{} in another state now", granted.unfit));
    let both: Vec<_> = held.into_iter().chain(unfit).collect();
    if both.is_empty() { String::new() } else { format!("left alone: {}\n", both.join(", ")) }
}

pub(super) fn say(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "{text}")
}
