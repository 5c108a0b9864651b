//! `haul import`: rows become jobs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use haul::clock::Clock;
use haul::import::{self, Duplicates, Encoding, Format, Input, Options, Source, Summary};
use haul::settings::{Durability, Settings};
use haul::stop::{Phase, Stop};
use haul::store::{OnConflict, Reject, Store};
use haul::template::Template;

use super::change::{self, OnChange};
use super::database::{self, Database};
use super::exit::{Exit, UsageError};
use super::flags::RequestFlags;
use super::next;
use super::rejected::RejectedFile;
use super::signals;
use super::terminal::{cut, quiet_if_closed, visible};

const EXAMPLES: &str = "\
Examples:
  haul import urls.txt
  haul import cities.csv --url 'https://api.example.com/v1/geo?q={{ city }}' --key '{{ id }}'
  haul import more.csv          made into requests as the last ones were
  haul import mended.csv --on-conflict update
  haul import more.csv --url 'https://api.example.com/v2/geo?q={{ city }}' --on-change rerender
  haul import batch.jsonl.gz --base-url https://api.example.com/v1 --rejected bad.jsonl
  haul import excel.csv --delimiter ';' --encoding windows-1252 \\
      --url 'https://api.example.com/{{ nr }}'
  jq -c '.items[]' page.json | haul import - --url 'https://api.example.com/items/{{ id }}'
  haul import --url https://api.example.com/random --repeat 100";

/// Only import: rows become jobs, none is sent
///
/// Importing the same input again adds nothing, however often it was killed; new rows in it are added.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    /// Files, '-' for standard input: a URL a line, CSV with a header, or a JSON object a line; also gzip and zstd
    #[arg(value_name = "INPUT", required_unless_present = "repeat")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    request: RequestFlags,
}

/// How inputs are read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct ReadFlags {
    /// How the input is written: auto, lines, csv or jsonl
    ///
    /// auto goes by the name (.txt, .csv, .tsv, .jsonl, .ndjson, .json; before .gz and .zst), else by how the input begins.
    /// gzip and zstd are unpacked whatever their name. Bad rows are told and left out, the others are imported (exit 65).
    ///
    /// lines: a URL each; blank lines and those that begin with # are none.
    ///
    /// csv: a header, then a row a job. Any column can be used in templates; a column `url` needs no --url.
    ///
    /// jsonl: an object a line. With a `url` (and, where --url is given, a `method`) it is a request: `url`, `method`,
    /// `headers` (an object), one body (`body`: a text, or an object or array that is sent as JSON; `json`: any JSON;
    /// `body_base64`) and `key` or `custom_id`; each is overridden by its flag, and the other members are the row. JSON bodies
    /// are sent word for word. A line of an OpenAI batch file is such a request: give --base-url. Any other object is a row
    /// for --url, identified by its `key` or `custom_id`, if it has one.
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_parser = format)]
    format: Format,
    /// What separates values: ';', '|', '\t' [default: a comma, in .tsv a tab]
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    delimiter: Option<char>,
    /// The first line is a row: columns are called c1, c2, ..
    #[arg(long)]
    no_header: bool,
    /// What the input is encoded in: windows-1252, utf-16le, shift_jis, .. [default: UTF-8, or UTF-16 with a mark]
    #[arg(long, value_name = "NAME")]
    encoding: Option<Encoding>,
    /// Equal requests of one input are one job
    #[arg(long, conflicts_with = "keep_duplicates")]
    merge_duplicates: bool,
    /// Each of equal requests of one input is a job
    #[arg(long)]
    keep_duplicates: bool,
}

impl ReadFlags {
    fn options(&self) -> Options {
        let duplicates = match (self.merge_duplicates, self.keep_duplicates) {
            (true, _) => Duplicates::Merge,
            (_, true) => Duplicates::Keep,
            _ => Duplicates::Refuse,
        };
        let Self { format, delimiter, no_header, encoding, .. } = *self;
        Options { format, delimiter, no_header, encoding, duplicates, ..Options::default() }
    }
}

/// What is imported, and how it is read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputFlags {
    #[command(flatten)]
    read: ReadFlags,
    /// Instead of an input: so many jobs of the one request of --url; templates see their number as {{ n }}
    ///
    /// The same again adds nothing, a larger number the difference.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=1_000_000_000),
        conflicts_with_all = ["inputs", "merge_duplicates"],
    )]
    repeat: Option<u64>,
    /// Write the rejected rows to a file: {"input", "line", "reason", "text"} a line
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
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
    /// The jobs that were sent before others were made anew keep what they asked, and their rows are known; so they are when
    /// the same is said again.
    fn conflicts(&self) -> OnConflict {
        let rerender = self.on_change == Some(OnChange::Rerender);
        self.on_conflict.unwrap_or(if rerender { OnConflict::Skip } else { OnConflict::Reject })
    }

    /// Rows are given without a file.
    pub(crate) fn repeats(&self) -> bool {
        self.repeat.is_some()
    }
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "auto" => Ok(Format::Auto),
        "lines" => Ok(Format::Lines),
        "csv" => Ok(Format::Csv),
        "jsonl" => Ok(Format::Jsonl),
        _ => Err("write auto, lines, csv or jsonl".to_owned()),
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
    rejected: Option<RejectedFile>,
}

impl Opened {
    /// For somebody who keeps nothing of it.
    pub(crate) fn into_parts(self) -> (Vec<Input>, Arc<Template>) {
        (self.inputs, self.template)
    }
}

/// Opens every input, before a database is created.
pub(crate) fn open(paths: &[PathBuf], flags: &InputFlags, settings: &Settings, db: &Path) -> anyhow::Result<Opened> {
    if flags.repeats() && settings.template.url.is_none() {
        return Err(UsageError("--repeat repeats the request of --url, and none is given".to_owned()).into());
    }
    let template = Arc::new(Template::compile(&settings.template)?);
    let options = Options { on_conflict: flags.conflicts(), ..flags.read.options() };
    let open = |path: &PathBuf| Input::open(source(path), options);
    let repeated = flags.repeat.map(|n| Ok(Input::repeat(n, flags.conflicts())));
    let inputs = paths.iter().map(open).chain(repeated).collect::<Result<_, _>>()?;
    let others = paths.iter().map(PathBuf::as_path);
    let rejected = flags.rejected.as_deref().map(|path| RejectedFile::create(path, others, db)).transpose()?;
    Ok(Opened { inputs, template, strict: flags.strict, rejected })
}

fn source(path: &Path) -> Source {
    match path.to_str() {
        Some("-") => Source::Reader("-".to_owned(), Box::new(std::io::stdin())),
        _ => Source::File(path.to_owned()),
    }
}

/// Opens an input whose rows are jobs already. Rows that make an equal request share its answer, unless flags say that each
/// is a job.
pub(crate) fn reopen(path: &Path, flags: &ReadFlags) -> Result<Input, import::ImportError> {
    let mut options = flags.options();
    if options.duplicates == Duplicates::Refuse {
        options.duplicates = Duplicates::Merge;
    }
    Input::open(source(path), options)
}

/// `haul import`.
pub(crate) async fn run(args: ImportArgs, db: &Path, quiet: bool) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let last = super::run::remembered(db).await?;
    let mut settings = last.settings();
    let given = args.request.apply(&mut settings)?;
    super::secrets::check(&settings, &given)?;
    let opened = open(&args.inputs, &args.input, &settings, db)?;
    let change = change::settle(args.input.on_change, db, last, &settings, true).await?;
    // What is one transaction for long would make a run fail that is going.
    let alone = (change.is_some() || args.input.strict) && !database::is_shared(db);
    let _lock = if alone { Some(super::run::lock(db, clock)?) } else { None };
    let store = Database::open(db, Durability::PowerLoss, true).await?;
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
    mut opened: Opened,
    clock: Clock,
    stop: &Stop,
    quiet: bool,
) -> anyhow::Result<Summary> {
    let all = import_all(store, db, &mut opened, clock, stop, quiet).await;
    // Also when an input broke off: what was rejected before is in it.
    let written = opened.rejected.map(RejectedFile::finish).transpose();
    let all = all?;
    written?;
    Ok(all)
}

async fn import_all(
    store: &impl Store,
    db: &Path,
    opened: &mut Opened,
    clock: Clock,
    stop: &Stop,
    quiet: bool,
) -> anyhow::Result<Summary> {
    let mut all = Summary::default();
    let asked = || stop.phase() > Phase::Go;
    if opened.strict {
        return strictly(store, db, opened, clock, &asked, quiet).await;
    }
    for input in std::mem::take(&mut opened.inputs) {
        let name = input.name().to_owned();
        let mut said_us = clock.now_us();
        let mut begun = None;
        let mut progress = |now: import::Progress| {
            begun = Some(now.import);
            if !quiet && clock.now_us() - said_us > 2_000_000 {
                said_us = clock.now_us();
                say(&format!("{name}: {} rows imported so far", now.rows));
            }
        };
        let summary = import::import(store, input, opened.template.clone(), &clock, &asked, &mut progress).await;
        if let (Some(file), Some(import)) = (&mut opened.rejected, begun) {
            file.add(store, import, &name).await?;
        }
        let summary = summary?;
        if !quiet {
            tell(&name, &summary, db, opened.rejected.as_ref().map(RejectedFile::name));
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

/// Imports all inputs or none, and says what was found in each.
async fn strictly(
    store: &impl Store,
    db: &Path,
    opened: &mut Opened,
    clock: Clock,
    stop: &(dyn Fn() -> bool + Sync),
    quiet: bool,
) -> anyhow::Result<Summary> {
    let Opened { inputs, template, rejected, .. } = opened;
    let mut written = Ok(());
    let mut said_us = clock.now_us();
    let mut told = |name: &str, rows: u64, rejects: &[Reject]| {
        if let (Some(file), Ok(())) = (rejected.as_mut(), &written) {
            written = file.add_rows(name, rejects);
        }
        if !quiet && clock.now_us() - said_us > 2_000_000 {
            said_us = clock.now_us();
            say(&format!("{name}: {rows} rows read so far"));
        }
    };
    let inputs = std::mem::take(inputs);
    let done = import::import_strictly(store, inputs, template.clone(), &clock, stop, &mut told).await?;
    written?;
    let file = rejected.as_ref().map(RejectedFile::name);
    let mut all = Summary::default();
    for (name, summary) in &done.inputs {
        all.rejected += summary.rejected;
        all.interrupted |= summary.interrupted;
        match (quiet, done.kept) {
            (true, _) => {}
            (false, true) => tell(name, summary, db, file),
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

fn tell(name: &str, summary: &Summary, db: &Path, file: Option<&str>) {
    let Summary { rows, rejected, .. } = summary;
    say(&format!("{name}: {}", counted(summary)));
    examples(summary);
    if *rejected > 0 {
        let query = || next::command("query 'SELECT line, reason, text FROM rejected'", db);
        say(&format!("  all of them: {}", file.map_or_else(query, visible)));
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

/// What became of the rows.
pub(crate) fn counted(summary: &Summary) -> String {
    let Summary { rows, added, known, updated, joined, rejected, .. } = summary;
    let mut text = format!("{rows} rows, {added} new jobs");
    let words = ["known already", "updated", "joined an equal request", "rejected"];
    for (n, word) in [known, updated, joined, rejected].into_iter().zip(words) {
        if *n > 0 {
            text += &format!(", {n} {word}");
        }
    }
    text
}

fn examples(summary: &Summary) {
    for reject in &summary.examples {
        say(&format!("  line {}: {}", reject.line, visible(&cut(&reject.reason, 300))));
    }
}

/// Sending the same POST twice may do harm: the user decides.
pub(crate) fn refuse_duplicates(name: &str, summary: &Summary) -> Result<(), UsageError> {
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
