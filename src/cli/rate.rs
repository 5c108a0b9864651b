//! `haul rate`: other rate limits, for the run that is going and for those to come.

use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use clap::Args;
use haul::clock::Clock;
use haul::limit::{DEFAULT_JITTER_US, Limit, RateError};
use haul::settings::{Durability, Settings};
use haul::store::Store;

use super::database::Database;
use super::exit::{Exit, UsageError};
use super::run::{Remembered, last_settings};
use super::terminal::{quiet_if_closed, visible};
use super::{next, pause, stop};

const EXAMPLES: &str = "\
Examples:
  haul rate 5/s
  haul rate 20/s 10000/d        all given hold at once, in place of those there were
  haul rate none                as fast as the server answers
  haul --db other.db rate 600/m";

/// Change the rate limits of the run that is going, from another terminal, and of those to come
///
/// What was sent counts in the new limits too: after a change to 5/s no second holds more than five from then on. They are
/// what the next run takes over, until `--rate` or `rate` says otherwise; also where no run is going now.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RateArgs {
    /// Rate limits: 20/s, 600/m, 100/10s, 10000/d; all hold at once, in place of those there were. 'none' = no limit
    #[arg(value_name = "RATE", required = true, value_delimiter = ',')]
    rates: Vec<Given>,
}

/// A rate as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    /// `none`.
    None,
    /// `20/s`.
    Limit(Limit),
}

impl FromStr for Given {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        if text.trim() == "none" { Ok(Self::None) } else { text.parse().map(Self::Limit) }
    }
}

/// The limits that are given, each once; `None` where nothing is given.
pub(super) fn limits(given: Vec<Given>) -> Result<Option<Vec<Limit>>, UsageError> {
    if given.len() > 1 && given.contains(&Given::None) {
        return Err(UsageError("`none` beside another rate: give rates that hold at once, or none alone".to_owned()));
    }
    let any = !given.is_empty();
    let mut limits: Vec<Limit> = Vec::new();
    for given in given {
        if let Given::Limit(limit) = given
            && !limits.contains(&limit)
        {
            limits.push(limit);
        }
    }
    Ok(any.then_some(limits))
}

/// `haul rate`.
pub(crate) async fn run(args: RateArgs, db: &Path) -> anyhow::Result<Exit> {
    let mut limits = limits(args.rates)?.unwrap_or_default();
    let found = stop::look(db, Clock::start()).await?;
    let before = last_settings(db).await?.limits;
    // J is about the network, which stays.
    let jitter_us = before.iter().map(|limit| limit.jitter_us).max().unwrap_or(DEFAULT_JITTER_US);
    limits.iter_mut().for_each(|limit| limit.jitter_us = jitter_us.min(limit.window_us));
    let store = Database::open(db, Durability::PowerLoss, false).await?;
    let kept = store.keep_limits(&limits).await;
    store.close().await?;
    kept?;
    let (now, before) = (named(&limits), named(&before));
    let was = if now == before { ", as before".to_owned() } else { format!(" (before: {before})") };
    if let Some(run) = found.run.as_ref().filter(|run| stop::is_going(run)) {
        let said = format!("goes on {now}{was}; so do those after it");
        return pause::say(run, &said, &next::command("status", db));
    }
    let (name, next) = (db.display(), next::command(stop::next_verb(&found), db));
    let text = format!("no run is going on {name}: the next one goes {now}{was}\nnext: {next}\n");
    quiet_if_closed(write!(anstream::stdout(), "{text}"))?;
    Ok(Exit::Done)
}

/// A rate that `haul rate` or an earlier run has left loses against the environment, which is easily forgotten.
pub(super) fn tell_of_environment(last: &Remembered, settings: &Settings) {
    let Some(remembered) = last.limits() else { return };
    let given = std::env::args_os().any(|word| {
        let word = word.to_string_lossy();
        word.starts_with("--rate") || (word.starts_with("-r") && !word.starts_with("--"))
    });
    let (remembered, now) = (named(remembered), named(&settings.limits));
    if std::env::var_os("HAUL_RATE").is_some_and(|rate| !rate.is_empty()) && !given && remembered != now {
        tracing::warn!("HAUL_RATE is set, so it goes {now}; the database has it go {remembered} where it is not");
    }
}

fn named(limits: &[Limit]) -> String {
    let names: Vec<_> = limits.iter().map(|limit| visible(&limit.name)).collect();
    if names.is_empty() { "without a limit".to_owned() } else { format!("at {}", names.join(" + ")) }
}
