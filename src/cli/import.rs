//! `haul import`: rows become jobs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use haul::clock::Clock;
use haul::import::{self, Duplicates, Format, Input, Options, Source, Summary};
use haul::settings::{Durability, Settings};
use haul::stop::{Phase, Stop};
use haul::store::sqlite::SqliteStore;
use haul::store::{OnConflict, Store};
use haul::template::Template;

use super::change::{self, OnChange};
use super::exit::{Exit, UsageError};
use super::flags::RequestFlags;
use super::next;
use super::signals;
use super::terminal::{cut, quiet_if_closed, visible};

const EXAMPLES: &str = "\
Examples:
  haul import urls.txt
  haul import cities.csv --url 'https://api.example.com/v1/geo?q={{ city }}' --key '{{ id }}'
  haul import more.csv          made into requests as the last ones were
  haul import mended.csv --on-conflict update
  haul import more.csv --url 'https://api.example.com/v2/geo?q={{ city }}' --on-change rerender";

/// Only import: rows become jobs, none is sent
///
/// Importing the same input again adds nothing, however often it was killed; new rows in it are added.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    /// Files, '-' for standard input: a URL a line, or CSV with a header
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    request: RequestFlags,
}

/// How inputs are read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputFlags {
    /// How the input is written: auto, lines or csv
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_parser = format)]
    format: Format,
    /// What separates values: ';', '|', '\t' [default: a comma, in .tsv a tab]
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    delimiter: Option<char>,
    /// The first line is a row: columns are called c1, c2, ..
    #[arg(long)]
    no_header: bool,
    /// Equal requests of one input are one job
    #[arg(long, conflicts_with = "keep_duplicates")]
    merge_duplicates: bool,
    /// Each of equal requests of one input is a job
    #[arg(long)]
    keep_duplicates: bool,
    /// What becomes of a row whose --key is known with another request: rejected, left out, or written over the job if it was
    /// not sent yet [default: reject]
    #[arg(long, value_name = "reject|skip|update", value_parser = on_conflict)]
    on_conflict: Option<OnConflict>,
    /// Import nothing if one row is rejected
    #[arg(long)]
    pub(crate) strict: bool,
    /// Where other request flags made the jobs that are there: make those not sent yet anew, or leave them and add
    #[arg(long, value_name = "rerender|add", value_parser = change::on_change)]
    pub(crate) on_change: Option<OnChange>,
}

impl InputFlags {
    fn options(&self) -> Options {
        let duplicates = match (self.merge_duplicates, self.keep_duplicates) {
            (true, _) => Duplicates::Merge,
            (_, true) => Duplicates::Keep,
            _ => Duplicates::Refuse,
        };
        // The jobs that were sent keep what they asked, and their rows are known; so they are when this is said again.
        let rerender = self.on_change == Some(OnChange::Rerender);
        let on_conflict = self.on_conflict.unwrap_or(if rerender { OnConflict::Skip } else { OnConflict::Reject });
        let (format, delimiter, no_header) = (self.format, self.delimiter, self.no_header);
        Options { format, delimiter, no_header, duplicates, on_conflict }
    }
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "auto" => Ok(Format::Auto),
        "lines" => Ok(Format::Lines),
        "csv" => Ok(Format::Csv),
        _ => Err("write auto, lines or csv".to_owned()),
    }
}

fn on_conflict(text: &str) -> Result<OnConflict, String> {
    match text {
        "reject" => Ok(OnConflict::Reject),
        "skip" => Ok(OnConflict::Skip),
        "update" => Ok(OnConflict::Update),
        _ => Err("write reject, skip (the job stays as it is) or update (if it was not sent yet)".to_owned()),
    }
}

fn delimiter(text: &str) -> Result<char, String> {
    let mut chars = text.chars();
    match (text, chars.next(), chars.next()) {
        ("\\t", ..) => Ok('\t'),
        (_, Some(delimiter), None) => Ok(delimiter),
        _ => Err("write one character, or \\t".to_owned()),
    }
}

/// Inputs that are open, and what their rows are made into.
pub(crate) struct Opened {
    inputs: Vec<Input>,
    template: Arc<Template>,
    strict: bool,
}

/// Opens every input, before a database is created.
pub(crate) fn open(paths: &[PathBuf], flags: &InputFlags, settings: &Settings) -> anyhow::Result<Opened> {
    let template = Arc::new(Template::compile(&settings.template)?);
    let open = |path: &PathBuf| {
        let source = match path.to_str() {
            Some("-") => Source::Reader("-".to_owned(), Box::new(std::io::stdin())),
            _ => Source::File(path.clone()),
        };
        Input::open(source, flags.options())
    };
    let inputs = paths.iter().map(open).collect::<Result<_, _>>()?;
    Ok(Opened { inputs, template, strict: flags.strict })
}

/// `haul import`.
pub(crate) async fn run(args: ImportArgs, db: &Path, quiet: bool) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let last = super::run::remembered(db).await?;
    let mut settings = last.settings();
    args.request.apply(&mut settings)?;
    super::secrets::check(&settings)?;
    let opened = open(&args.inputs, &args.input, &settings)?;
    let change = change::settle(args.input.on_change, db, last, &settings, true).await?;
    // What is one transaction for long would make a run fail that is going.
    let alone = change.is_some() || args.input.strict;
    let _lock = if alone { Some(super::run::lock(db, clock)?) } else { None };
    let store = SqliteStore::open(db, Durability::PowerLoss, true).await?;
    let stop = Stop::new();
    let seen = signals::watch(stop.clone()).context("failed to watch for signals")?;
    if let Some(change) = change
        && !change.carry_out(&store, db, &stop, clock, quiet).await?
    {
        store.close().await?;
        return Ok(seen.signal().map_or(Exit::Stopped, Exit::Signal));
    }
    let summary = import(&store, db, opened, clock, &stop, quiet).await?;
    let jobs = store.counts().await?.values().sum::<u64>();
    store.close().await?;
    let mut out = anstream::stdout();
    let verb = if jobs == 0 { "import INPUT" } else { "run" };
    quiet_if_closed(writeln!(out, "{}: {jobs} jobs\nnext: {}", db.display(), next::command(verb, db)))?;
    Ok(match seen.signal() {
        Some(signal) => Exit::Signal(signal),
        None if summary.rejected > 0 => Exit::Rejected,
        None => Exit::Done,
    })
}

/// Imports every input, and says on stderr what became of each.
pub(crate) async fn import(
    store: &impl Store,
    db: &Path,
    opened: Opened,
    clock: Clock,
    stop: &Stop,
    quiet: bool,
) -> anyhow::Result<Summary> {
    let mut all = Summary::default();
    let asked = || stop.phase() > Phase::Go;
    let mut said_us = clock.now_us();
    let mut progress = |name: &str, now: import::Progress| {
        if !quiet && clock.now_us() - said_us > 2_000_000 {
            said_us = clock.now_us();
            say(&format!("{name}: {} rows {} so far", now.rows, if opened.strict { "read" } else { "imported" }));
        }
    };
    if opened.strict {
        let done = import::import_strictly(store, opened.inputs, opened.template, &clock, &asked, &mut progress);
        return strictly(&done.await?, db, quiet);
    }
    for input in opened.inputs {
        let name = input.name().to_owned();
        let mut progress = |now| progress(&name, now);
        let summary = import::import(store, input, opened.template.clone(), &clock, &asked, &mut progress).await?;
        if !quiet {
            tell(&name, &summary, db);
        }
        refuse_duplicates(&name, &summary)?;
        all.rejected += summary.rejected;
        all.interrupted |= summary.interrupted;
        if all.interrupted {
            break;
        }
    }
    Ok(all)
}

/// Says what became of inputs that are imported together or not at all.
fn strictly(done: &import::Strict, db: &Path, quiet: bool) -> anyhow::Result<Summary> {
    let mut all = Summary::default();
    for (name, summary) in &done.inputs {
        all.rejected += summary.rejected;
        all.interrupted |= summary.interrupted;
        match (quiet, done.kept) {
            (true, _) => {}
            (false, true) => tell(name, summary, db),
            (false, false) => {
                say(&format!("{name}: {} rows read, {} rejected", summary.rows, summary.rejected));
                examples(summary);
            }
        }
    }
    if !quiet && all.interrupted {
        say("interrupted: nothing is imported");
    } else if !quiet && !done.kept {
        say("nothing is imported (--strict); without it all rows but the rejected ones are");
    }
    done.inputs.iter().try_for_each(|(name, summary)| refuse_duplicates(name, summary))?;
    Ok(all)
}

fn tell(name: &str, summary: &Summary, db: &Path) {
    let Summary { rows, added, known, updated, joined, rejected, .. } = summary;
    let mut text = format!("{name}: {rows} rows, {added} new jobs");
    let words = ["known already", "updated", "joined an equal request", "rejected"];
    for (n, word) in [known, updated, joined, rejected].into_iter().zip(words) {
        if *n > 0 {
            text += &format!(", {n} {word}");
        }
    }
    say(&text);
    examples(summary);
    if *rejected > 0 {
        let all = next::command("query 'SELECT line, reason, text FROM rejected'", db);
        say(&format!("  all of them: {all}"));
    }
    if *rows == 0 && !summary.interrupted {
        say(
            "  it is empty, or has a header and nothing below it; --no-header or --format lines reads the first line too",
        );
    }
    if summary.interrupted {
        say("  interrupted: import it again for the rest");
    }
}

fn examples(summary: &Summary) {
    for reject in &summary.examples {
        say(&format!("  line {}: {}", reject.line, visible(&cut(&reject.reason, 300))));
    }
}

/// Sending the same POST twice may do harm: the user decides.
fn refuse_duplicates(name: &str, summary: &Summary) -> Result<(), UsageError> {
    if summary.refused_duplicates == 0 {
        return Ok(());
    }
    Err(UsageError(format!(
        "{} rows of {name} make a request that an earlier row makes too, and to send it twice may do harm; say \
         --merge-duplicates (one job), --keep-duplicates (a job each), or give the jobs a --key",
        summary.refused_duplicates
    )))
}

pub(super) fn say(text: &str) {
    // Where stderr is closed the import goes on unseen.
    let _ = writeln!(anstream::stderr(), "{text}");
}
