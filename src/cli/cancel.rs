//! `haul cancel`: jobs that should not be sent.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::Args;
use haul::clock::Clock;
use haul::job::Wish;
use haul::store::Granted;

use super::choice::{Choice, SearchFlags, many};
use super::confirm::confirm;
use super::database::Console;
use super::exit::Exit;
use super::next;
use super::retry::{expect, grant};
use super::stop::going;
use super::terminal::quiet_if_closed;

/// The way back.
const BACK: &str = "retry --refetch --where \"state = 'cancelled'\"";

const EXAMPLES: &str = "\
Examples:
  haul cancel --where \"url LIKE '%/old/%'\" --dry-run
  haul cancel --where \"import_id = 2\"
  haul cancel --where \"row ->> '\\$.country' = 'XX'\" --yes
  haul retry --refetch --where \"state = 'cancelled'\"      brings them back";

/// Take jobs out that should not be sent; neither done nor failed
///
/// Jobs in flight and finished ones stay as they are.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CancelArgs {
    /// The jobs: a condition in SQL over job_view
    #[arg(long = "where", value_name = "SQL", required = true)]
    condition: String,
    #[command(flatten)]
    search: SearchFlags,
    /// Ask nothing; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
}

/// `haul cancel`.
pub(crate) async fn run(args: CancelArgs, db: &Path) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let mut console = Console::open(db).await?;
    let choice = Choice::new(&mut console, &[], Some(&args.condition), &args.search).await;
    let choice = choice.context("--where cannot be used")?;
    let kinds = choice.kinds(&mut console).await.context("failed to look for the jobs")?;
    let mut plan = Granted::default();
    expect(Wish::Cancel, &kinds).for_each(|(_, granted)| plan += granted);
    if plan.cancelled == 0 {
        console.close().await?;
        let text = format!("no job to cancel{}\n", others(&plan, ": "));
        quiet_if_closed(write!(anstream::stdout(), "{text}"))?;
        return Ok(Exit::Done);
    }
    let text = format!("{} to cancel{}", many(plan.cancelled, "job"), others(&plan, "; "));
    if args.search.dry_run {
        console.close().await?;
        let next = next::typed_without("--dry-run");
        let text = format!("{text}\nnothing was changed (--dry-run)\nnext: {next}\n");
        quiet_if_closed(write!(anstream::stdout(), "{text}"))?;
        return Ok(Exit::Done);
    }
    quiet_if_closed(writeln!(anstream::stderr(), "{text}"))?;
    if !confirm("Cancel them?", args.yes)? {
        console.close().await?;
        return Ok(Exit::Done);
    }
    let granted = grant(Wish::Cancel, &choice, console, db, clock).await;
    let granted = granted.context("failed to cancel all of the jobs; run the same again for the rest")?;
    let (run, verb) = going(db, clock).await?;
    let verb = if run.is_some() { "status" } else { verb };
    let (back, next) = (next::command(BACK, db), next::command(verb, db));
    let mut text = format!("{} cancelled{}", many(granted.cancelled, "job"), others(&granted, "; "));
    if granted.kept > 0 {
        text += &format!("; {} not processed again, the result stays", many(granted.kept, "job"));
    }
    quiet_if_closed(write!(anstream::stdout(), "{text}\nback again: {back}\nnext: {next}\n"))?;
    Ok(Exit::Done)
}

/// `3 are in flight now, 10 are finished already`, behind `joint` where there are any.
fn others(granted: &Granted, joint: &str) -> String {
    let are = |n: u64, what: &str| match n {
        0 => None,
        1 => Some(format!("1 is {what}")),
        n => Some(format!("{n} are {what}")),
    };
    let both: Vec<_> =
        are(granted.held, "in flight now").into_iter().chain(are(granted.unfit, "finished already")).collect();
    if both.is_empty() { String::new() } else { format!("{joint}{}", both.join(", ")) }
}
