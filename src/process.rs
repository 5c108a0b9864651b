//! The processing stage: what turns a response into a result.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::attempt::{ErrorType, Failure, Verdict};
use crate::job::Job;
use crate::response::Response;
use crate::settings::Settings;

mod bounds;
mod command;
mod jq;
mod plain;
mod pool;
mod rule;

use command::Command;
pub use command::CommandError;
pub use jq::{Jq, JqError};
pub use pool::{Pool, PoolError};
pub use rule::Rule;

/// Turns a response into a result. Synchronous: it runs on a CPU thread, and may take as long as it needs.
///
/// The response is durable, or about to be, before this is called; a failure here never costs a second request.
/// A panic is caught and fails its job as `process_panic`. Closures of the same shape are processors.
///
/// ```
/// use haul::{Failure, Job, Processor, Response};
///
/// /// The sum of the squares below the number that came back.
/// struct Squares;
///
/// impl Processor for Squares {
///     type Output = u64;
///
///     fn process(&self, response: &Response, _: &Job) -> Result<u64, Failure> {
///         let end: u64 = response.json()?; // no number: this job fails, as `process_error`
///         Ok((0..end).map(|n| n * n).sum())
///     }
///
///     fn version(&self) -> String {
///         "squares 1".to_owned() // what `results.processor` says; change it with the code
///     }
/// }
/// ```
pub trait Processor: Send + Sync + 'static {
    /// The result, stored as JSON.
    type Output: Serialize;

    /// Makes the result.
    ///
    /// # Errors
    /// A failure of the job, permanent unless its verdict says otherwise.
    fn process(&self, response: &Response, job: &Job) -> Result<Self::Output, Failure>;

    /// Name and version, kept in `results.processor`.
    fn version(&self) -> String {
        "custom".to_owned()
    }
}

impl<F, T> Processor for F
where
    F: Fn(&Response, &Job) -> Result<T, Failure> + Send + Sync + 'static,
    T: Serialize,
{
    type Output = T;

    fn process(&self, response: &Response, job: &Job) -> Result<T, Failure> {
        self(response, job)
    }
}

/// So that a processor may say `response.json()?`: a body of another shape fails its job for good.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        refused(format!("the response is not what the processor expects: {error}"))
    }
}

/// Any processor, with its output already written as JSON: what the pipeline runs.
#[derive(Clone)]
pub struct Work {
    run: Arc<Run>,
    version: Arc<str>,
    /// Nothing of the user's is run.
    none: bool,
    /// What is to be ended with the run, and keeps its time limit itself.
    command: Option<Arc<Command>>,
}

/// Begins what the settings say of a processor that only its program has.
pub(crate) const OF_A_PROGRAM: &str = "program:";

/// The version of no processor.
const NONE: &str = "none";

type Run = dyn Fn(&Response, &Job) -> Result<String, Failure> + Send + Sync;

/// What is wrong with a `--process`, or with a rule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// The filter does not compile.
    #[error(transparent)]
    Jq(#[from] JqError),
    /// The file of the filter cannot be read.
    #[error("failed to read the jq filter {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The program cannot be run.
    #[error("`{setting}`: {why}")]
    Command {
        /// The setting.
        setting: String,
        /// Why.
        why: CommandError,
    },
    /// The processor of a program that uses the library.
    #[error("the last run had the processor of a program (`{0}`): run that program again, or name another one")]
    Program(String),
    /// Anything else.
    #[error("`{0}` is no processor; write `jq:EXPR`, `jq:@FILE` or `cmd:PROG ARGS`")]
    Unknown(String),
    /// Anything else that was to be a rule.
    #[error("`{0}` is no rule; write `jq:EXPR` or `jq:@FILE`")]
    NoRule(String),
}

impl Work {
    /// No processor: the result is the response as it is, its JSON word for word, else its text as a string, else its bytes
    /// as `{"base64": ".."}`.
    #[must_use]
    pub fn none() -> Self {
        Self { none: true, ..Self::new(NONE.to_owned(), |response, _| plain::result(response)) }
    }

    /// The same, but a response that meets this rule fails its job before the processor sees it.
    #[must_use]
    pub fn unless(self, rule: Rule) -> Self {
        let run = move |response: &Response, job: &Job| {
            rule.refuse(response, job)?;
            (self.run)(response, job)
        };
        Self { run: Arc::new(run), version: self.version, none: false, command: self.command }
    }

    /// This processor.
    #[must_use]
    pub fn of(processor: impl Processor) -> Self {
        Self::new(processor.version(), move |response, job| {
            let output = processor.process(response, job)?;
            serde_json::to_string(&output)
                .map_err(|error| refused(format!("the result cannot be written as JSON: {error}")))
        })
    }

    /// The processor that the settings name, or none: `jq:EXPR`, `jq:@FILE` or `cmd:PROG ARGS`. A file is read once, and a
    /// program found and started, here.
    ///
    /// # Errors
    /// When they name one that is none, that does not compile or that cannot be run.
    pub fn from_settings(settings: &Settings) -> Result<Self, WorkError> {
        let Some(setting) = &settings.process else { return Ok(Self::none()) };
        if let Some(version) = setting.strip_prefix(OF_A_PROGRAM) {
            return Err(WorkError::Program(version.to_owned()));
        }
        if let Some(line) = setting.strip_prefix("cmd:") {
            let wrong = |why| WorkError::Command { setting: setting.clone(), why };
            return Ok(Command::start(line, settings).map_err(wrong)?.into());
        }
        match from_jq(setting)? {
            Some(jq) => Ok(jq.into()),
            None => Err(WorkError::Unknown(setting.clone())),
        }
    }

    /// The processor of this name, its other settings as usual.
    ///
    /// # Errors
    /// As [`Self::from_settings`].
    pub fn from_setting(setting: &str) -> Result<Self, WorkError> {
        Self::from_settings(&Settings { process: Some(setting.to_owned()), ..Settings::default() })
    }

    /// Whether it keeps the time limit of a processing itself. What does not can only be left behind on its thread.
    #[must_use]
    pub fn keeps_time(&self) -> bool {
        self.command.is_some()
    }

    /// Ends the programs that were started for it: those that are at work at once, the others within a second. What is run
    /// afterwards fails. The same happens where the last clone is dropped.
    pub fn end(&self) {
        if let Some(command) = &self.command {
            command.end();
        }
    }

    /// Nothing of the user's is run.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.none
    }

    /// Name and version, as they stand in `results.processor`.
    #[must_use]
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// Makes the result of one job, as JSON. A panic fails this job and nothing else.
    ///
    /// The panic hook of the program still runs, and by default prints. A library must not replace it; a program that wants
    /// silence can tell by the name of the thread, see [`Pool::THREAD_NAME`].
    ///
    /// # Errors
    /// What the processor says, `process_panic` where it panicked.
    pub fn run(&self, response: &Response, job: &Job) -> Result<String, Failure> {
        // What a panic leaves half-changed can only be the processor's own state, and that it must guard itself: it is
        // called from many threads.
        catch_unwind(AssertUnwindSafe(|| (self.run)(response, job))).unwrap_or_else(|payload| Err(panicked(payload)))
    }

    fn new(version: String, run: impl Fn(&Response, &Job) -> Result<String, Failure> + Send + Sync + 'static) -> Self {
        Self { run: Arc::new(run), version: version.into(), none: false, command: None }
    }
}

impl From<Command> for Work {
    fn from(command: Command) -> Self {
        let command = Arc::new(command);
        let asked = command.clone();
        let work = Self::new(command.version().to_owned(), move |response, job| asked.run(response, job));
        Self { command: Some(command), ..work }
    }
}

impl From<Jq> for Work {
    fn from(jq: Jq) -> Self {
        Self::new(jq.version().to_owned(), move |response, job| jq.run(response, job))
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Work").field(&self.version).finish()
    }
}

/// The filter of a `jq:EXPR` or `jq:@FILE`; `None`: it is neither.
fn from_jq(setting: &str) -> Result<Option<Jq>, WorkError> {
    let Some(expression) = setting.strip_prefix("jq:") else { return Ok(None) };
    let jq = match expression.trim_start().strip_prefix('@') {
        // `@json` and `@base64 ".."` are filters themselves; a file of such a name is `@./json`.
        Some(name) if !jq::is_format(name) => Jq::compile(&read(name.into())?)?,
        _ => Jq::compile(expression)?,
    };
    Ok(Some(jq))
}

fn read(path: PathBuf) -> Result<String, WorkError> {
    std::fs::read_to_string(&path).map_err(|source| WorkError::File { path, source })
}

/// The failure of a processor that does not want this response.
fn refused(message: impl Into<String>) -> Failure {
    Failure::new(ErrorType::PROCESS_ERROR, Verdict::Permanent, bounds::cut(message.into()))
}

fn panicked(payload: Box<dyn std::any::Any + Send>) -> Failure {
    let message = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(payload) => {
                // Any type may panic again when it is dropped; a few leaked bytes are better than a lost thread.
                std::mem::forget(payload);
                "it panicked without a message".to_owned()
            }
        },
    };
    Failure::new(ErrorType::PROCESS_PANIC, Verdict::Permanent, bounds::cut(message))
}

#[cfg(test)]
mod tests;
