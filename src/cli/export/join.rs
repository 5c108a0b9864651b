//! Each row of an input, once and in its order, with its answer.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use haul::import::{Keyed, Keys, keys};
use haul::result_line::{LineError, ResultLine};
use haul::secret::shown;
use haul::settings::{RequestTemplate, Settings};
use haul::status::StatusSet;
use haul::store::NewJob;
use haul::store::sqlite::answers::{Answer, Place};
use haul::template::Template;
use serde_json::value::to_raw_value;

use super::Take;
use crate::cli::database::Console;
use crate::cli::flags::RequestFlags;
use crate::cli::import::{ReadFlags, reopen};

/// Rows whose jobs are looked up at once, at most.
const ROWS: usize = 1_000;
/// Bytes of the requests of these rows; the one that goes beyond is the last.
const BYTES: usize = 4 << 20;
/// Bytes of answers that are read at once; one that is larger is read alone.
const ANSWERS: usize = 8 << 20;

/// An input, and how its rows are known again.
pub(super) struct Join<'a> {
    path: &'a Path,
    flags: &'a ReadFlags,
    template: Arc<Template>,
    /// The imports that it stands for.
    imports: BTreeSet<i64>,
}

/// What became of the rows.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// Rows whose job is there.
    pub(super) found: u64,
    /// Rows whose job is not.
    pub(super) missing: u64,
    /// Rows that make no job.
    pub(super) rejected: u64,
    /// Why, of the first of them.
    pub(super) reasons: Vec<String>,
}

impl<'a> Join<'a> {
    /// Rows become requests as they did when they were imported, unless flags say otherwise.
    pub(super) async fn new(
        path: &'a Path,
        flags: &'a ReadFlags,
        request: RequestFlags,
        mut settings: Settings,
        console: &mut Console,
    ) -> anyhow::Result<Self> {
        if let Some(json) = console.template_of(&path.display().to_string()).await? {
            let template: RequestTemplate =
                serde_json::from_str(&json).context("failed to read the request flags of the import")?;
            settings.template = template;
        }
        request.apply(&mut settings)?;
        let imports = console.made_by(&serde_json::to_string(&settings.template)?).await?;
        let template = Arc::new(Template::compile(&settings.template)?);
        Ok(Self { path, flags, template, imports })
    }

    /// Whether it can be read but once.
    pub(super) fn is_stream(&self) -> bool {
        self.path == "-"
    }

    /// Opens the input, from its beginning.
    pub(super) fn open(&self) -> anyhow::Result<Keys> {
        Ok(keys(reopen(self.path, self.flags)?, self.template.clone()))
    }

    /// Hands over each row with its answer.
    pub(super) async fn each(
        &self,
        console: &mut Console,
        with_response: bool,
        retry_on: &StatusSet,
        take: &mut Take<'_>,
    ) -> anyhow::Result<Joined> {
        let mut keys = self.open()?;
        let mut told = Joined::default();
        loop {
            let batch =
                batch(&mut keys).with_context(|| format!("failed to read the input {}", self.path.display()))?;
            if batch.is_empty() {
                return Ok(told);
            }
            let wanted: Vec<_> = batch.iter().filter_map(job).map(|job| job.key.as_str()).collect();
            let places = console.places(&wanted).await?;
            let places: HashMap<&str, &Place> = places.iter().map(|place| (place.key.as_str(), place)).collect();
            let place = |keyed: &Keyed| job(keyed).and_then(|job| places.get(job.key.as_str()).copied());
            let mut rest = &batch[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(fitting(rest, &place));
                rest = later;
                let ids: BTreeSet<i64> = now.iter().filter_map(|keyed| Some(place(keyed)?.id)).collect();
                let ids: Vec<_> = ids.into_iter().collect();
                let answers = console.answers(&ids, with_response, retry_on).await?;
                let answers: HashMap<_, _> = answers.iter().map(|found| (found.0.line.id, found)).collect();
                for keyed in now {
                    let place = place(keyed);
                    let found = place.and_then(|place| answers.get(&Some(place.id)).copied());
                    let stays = place.is_some_and(|place| self.imports.contains(&place.import));
                    take(&told.row(keyed, found, stays)?)?;
                }
            }
        }
    }
}

fn job(keyed: &Keyed) -> Option<&NewJob> {
    keyed.job.as_ref().ok()
}

fn batch(keys: &mut Keys) -> io::Result<Vec<Keyed>> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < ROWS && bytes < BYTES {
        let Some(keyed) = keys.next().transpose()? else { break };
        bytes += keyed
            .job
            .as_ref()
            .map_or(0, |job| job.request.url.len() + job.request.body.as_ref().map_or(0, |b| b.len()));
        bytes += keyed
            .row
            .iter()
            .flatten()
            .map(|(name, value)| name.len() + value.as_str().map_or(8, str::len))
            .sum::<usize>();
        batch.push(keyed);
    }
    Ok(batch)
}

/// So many rows have answers that may be in memory together; at least one.
fn fitting<'a>(rows: &[Keyed], place: &impl Fn(&Keyed) -> Option<&'a Place>) -> usize {
    let mut bytes = 0_usize;
    let fit = rows.iter().take_while(|keyed| {
        bytes = bytes.saturating_add(place(keyed).map_or(0, |place| place.bytes));
        bytes <= ANSWERS
    });
    fit.count().max(1)
}

impl Joined {
    /// `stays`: where the request of the job is another but its row is this one, it was sent before a rerender and stays.
    fn row(&mut self, keyed: &Keyed, found: Option<&(Answer, Option<Vec<u8>>)>, stays: bool) -> io::Result<Answer> {
        let row = keyed.row.as_ref().map(to_raw_value).transpose()?;
        let job = match &keyed.job {
            Ok(job) => job,
            Err(reject) => return Ok(self.rejected(ResultLine::without_job(row), reject.line, &reject.reason)),
        };
        let nothing = ResultLine { key: Some(job.key.clone()), ..ResultLine::without_job(row.clone()) };
        match found {
            None => {
                self.missing += 1;
                Ok(Answer { line: nothing, response: None })
            }
            // The import refused it too: this answer is to another question.
            Some((answer, body))
                if !(is_same(job, &answer.line, body.as_deref()) || stays && is_row(keyed, &answer.line)) =>
            {
                let id = answer.line.id.unwrap_or_default();
                let why = format!("the key {:?} is that of job {id}, whose request is another", job.key);
                Ok(self.rejected(nothing, job.line, &why))
            }
            Some((answer, _)) => {
                self.found += 1;
                Ok(Answer { line: ResultLine { row, ..answer.line.clone() }, response: answer.response.clone() })
            }
        }
    }

    fn rejected(&mut self, mut line: ResultLine, at: u64, why: &str) -> Answer {
        self.rejected += 1;
        if self.reasons.len() < 3 {
            self.reasons.push(format!("line {at}: {why}"));
        }
        line.state = Some("rejected".to_owned());
        let error_type = "rejected".to_owned();
        line.error = Some(LineError { error_type, message: format!("line {at}: {why}"), retryable: false });
        Answer { line, response: None }
    }
}

fn is_row(keyed: &Keyed, line: &ResultLine) -> bool {
    let stored = line.row.as_ref().and_then(|row| serde_json::from_str(row.get()).ok());
    stored.is_some() && stored == keyed.row
}

fn is_same(job: &NewJob, line: &ResultLine, body: Option<&[u8]>) -> bool {
    let request = &job.request;
    line.method.as_deref() == Some(&request.method)
        && line.url.as_deref() == Some(&shown(&request.url))
        && body == request.body.as_deref()
}
