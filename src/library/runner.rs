//! A run of the library: what it is told, and how it is driven.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::{Haul, Summary, reprocess};
use crate::backoff::Backoff;
use crate::clock::{Clock, micros};
use crate::error::Error;
use crate::fetch::SecretHeader;
use crate::hope::MaxFailures;
use crate::limit::Limit;
use crate::pipeline::{self, Run};
use crate::process::{OF_A_PROGRAM, Processor, Rule, Work};
use crate::progress::{OnEvent, RunEvent};
use crate::secret::{Lookup, SecretName};
use crate::settings::guard::Guard;
use crate::settings::{Durability, KeepResponses, OnUncertain, Settings};
use crate::status::StatusSet;
use crate::stop::{Phase, Stop};
use crate::store::Store;
use crate::store::lock::{RunLock, host};

type Change = Box<dyn FnOnce(&mut Settings) + Send>;

/// A run that is being set up. What it is not told is as in the last run over this database, or as usual. [`Runner::run`]
/// tells what is wrong with it.
///
/// Remembered for the next run: limits, concurrency, threads, rules, timeouts and the SLA. Not remembered: processors,
/// secret headers, and what is about this run only ([`Runner::limit`], [`Runner::lasts`]).
#[must_use = "a run begins with `run()`"]
pub struct Runner {
    haul: Haul,
    changes: Vec<Change>,
    limits: Vec<Limit>,
    jitter: Option<Duration>,
    wrong: Option<Error>,
    work: Option<Work>,
    secrets: Arc<Lookup>,
    secret_headers: Vec<SecretHeader>,
    begins: Option<u64>,
    max_requests: Option<u64>,
    max_wait: Option<Duration>,
    max_failures: Option<MaxFailures>,
    stop_if: Option<Rule>,
    lasts: Option<Duration>,
    /// Only stored responses are processed: those for which this is true too.
    pub(super) again: Option<String>,
    stop: Stop,
    on_event: OnEvent,
}

impl Runner {
    pub(super) fn new(haul: Haul) -> Self {
        Self {
            haul,
            changes: Vec::new(),
            limits: Vec::new(),
            jitter: None,
            wrong: None,
            work: None,
            secrets: Arc::new(|_| Err("this program gives no secrets; see `Runner::secrets`".to_owned())),
            secret_headers: Vec::new(),
            begins: None,
            max_requests: None,
            max_wait: None,
            max_failures: None,
            stop_if: None,
            lasts: None,
            again: None,
            stop: Stop::new(),
            on_event: Box::new(|_| {}),
        }
    }

    /// A rate limit: `20/s`, `600/m`, `100/10s`, or a [`Limit`]. Several hold at once; the first one given takes the place of
    /// those of the last run.
    pub fn rate<R>(mut self, rate: R) -> Self
    where
        R: TryInto<Limit>,
        R::Error: Into<Error>,
    {
        let limit = self.kept(rate.try_into());
        self.limits.extend(limit);
        self
    }

    /// No rate limit: as fast as the server answers.
    pub fn unlimited(self) -> Self {
        self.set(|settings| settings.limits.clear())
    }

    /// The spread between sending and arriving, of every limit.
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = Some(jitter);
        self
    }

    /// Jobs between claim and commit, at most: what a crash may cost.
    pub fn concurrency(self, jobs: usize) -> Self {
        self.set(move |settings| settings.concurrency = jobs)
    }

    /// CPU threads for processing; 0 = one a core.
    pub fn threads(self, threads: usize) -> Self {
        self.set(move |settings| settings.threads = threads)
    }

    /// What makes results of responses. It runs on CPU threads of the run's own, after the response is stored.
    pub fn process(mut self, processor: impl Processor) -> Self {
        self.work = Some(Work::of(processor));
        self
    }

    /// A processor that is named: `jq:EXPR`, `jq:@FILE`, or a program, `cmd:PROG ARGS`.
    pub fn process_by(self, setting: impl Into<String>) -> Self {
        let setting = setting.into();
        self.set(move |settings| settings.process = Some(setting))
    }

    /// No processor: the result is the response's JSON, or its text as a string.
    pub fn process_nothing(self) -> Self {
        self.set(|settings| settings.process = None)
    }

    /// Names of variables of the environment that the program of a `cmd:` is given beside PATH, HOME, LANG and VIRTUAL_ENV.
    /// Only the names are remembered.
    pub fn pass_env<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.set(move |settings| settings.pass_env = names)
    }

    /// For one processing. What takes longer fails its job. A program is then killed; but a closure or a filter cannot be
    /// stopped, and its thread is lost: where all are lost, the run breaks off.
    pub fn process_timeout(self, timeout: Duration) -> Self {
        self.set(move |settings| settings.process_timeout = timeout)
    }

    /// Deadline from sending to result. Late results are kept, and counted.
    pub fn sla(self, sla: Duration) -> Self {
        self.set(move |settings| settings.sla = Some(sla))
    }

    /// From sending to the last byte of the body.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(move |settings| settings.timeout = timeout)
    }

    /// To an open connection.
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.set(move |settings| settings.connect_timeout = timeout)
    }

    /// How long a stop waits for what is in flight.
    pub fn grace(self, grace: Duration) -> Self {
        self.set(move |settings| settings.grace = Some(grace))
    }

    /// Bytes of a body after decompression, at most.
    pub fn max_body(self, bytes: u64) -> Self {
        self.set(move |settings| settings.max_body = bytes)
    }

    /// Status codes that count as success: `2xx,404`.
    pub fn success(mut self, codes: &str) -> Self {
        let codes: StatusSet = self.kept(codes.parse()).unwrap_or_else(StatusSet::success);
        self.set(move |settings| settings.success = codes)
    }

    /// What is tried again: `429,5xx,timeout`.
    pub fn retry_on(mut self, what: &str) -> Self {
        let what: StatusSet = self.kept(what.parse()).unwrap_or_else(StatusSet::retry_on);
        self.set(move |settings| settings.retry_on = what)
    }

    /// Failures after which a job is given up.
    pub fn max_attempts(self, failures: u32) -> Self {
        self.set(move |settings| settings.max_attempts = failures)
    }

    /// The first and the longest wait between tries.
    pub fn backoff(self, base: Duration, ceiling: Duration) -> Self {
        self.set(move |settings| settings.backoff = Backoff { base, ceiling })
    }

    /// A condition over the body of a success; where it is true the job fails for good: `jq:EXPR`.
    pub fn fail_if(self, condition: impl Into<String>) -> Self {
        let condition = condition.into();
        self.set(move |settings| settings.fail_if = Some(condition))
    }

    /// What becomes of a POST or PATCH whose answer was lost.
    pub fn on_uncertain(self, what: OnUncertain) -> Self {
        self.set(move |settings| settings.on_uncertain = what)
    }

    /// The header that carries the idempotency key of POST and PATCH; `None` sends none.
    pub fn idempotency_header(self, name: Option<HeaderName>) -> Self {
        self.set(move |settings| settings.idempotency_header = name.map(|name| name.as_str().to_owned()))
    }

    /// Redirects followed for one request, at most; each takes a permit.
    pub fn max_redirects(self, redirects: u32) -> Self {
        self.set(move |settings| settings.max_redirects = redirects)
    }

    /// The proxy of all requests; without credentials.
    pub fn proxy(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.set(move |settings| settings.proxy = Some(url))
    }

    /// A file of certificates (PEM) that are trusted beside the usual ones.
    pub fn ca_file(self, file: impl Into<PathBuf>) -> Self {
        let file = file.into();
        self.set(move |settings| settings.ca_file = Some(file))
    }

    /// Whether the certificates of servers are left unchecked.
    pub fn insecure(self, insecure: bool) -> Self {
        self.set(move |settings| settings.insecure = insecure)
    }

    /// Which servers may be sent to. A job that names another one fails as [`ErrorType::BLOCKED`](crate::attempt::ErrorType::BLOCKED).
    pub fn guard(self, guard: Guard) -> Self {
        self.set(move |settings| settings.guard = guard)
    }

    /// What a commit survives.
    pub fn durability(self, durability: Durability) -> Self {
        self.set(move |settings| settings.durability = durability)
    }

    /// Of which finished jobs the response stays stored; what does not cannot be processed again.
    pub fn keep_responses(self, keep: KeepResponses) -> Self {
        self.set(move |settings| settings.keep_responses = keep)
    }

    /// Whether stored bodies are packed where that makes them smaller.
    pub fn compress(self, compress: bool) -> Self {
        self.set(move |settings| settings.compress = compress)
    }

    /// A header of every request, in place of one of the same name. Its value is asked for at each send, on a thread that
    /// must not be held up, and is never stored, logged or shown.
    pub fn secret_header<V>(mut self, name: HeaderName, value: V) -> Self
    where
        V: Fn() -> String + Send + Sync + 'static,
    {
        self.secret_headers.push(SecretHeader { name, value: Arc::new(value) });
        self
    }

    /// Gives the values of secrets that stored requests name, as those do that were imported by the command line. Asked at
    /// each send.
    pub fn secrets<L>(mut self, lookup: L) -> Self
    where
        L: Fn(&SecretName) -> Result<String, String> + Send + Sync + 'static,
    {
        self.secrets = Arc::new(lookup);
        self
    }

    /// Begins at most so many jobs, in this run.
    pub fn limit(mut self, jobs: u64) -> Self {
        self.begins = Some(jobs);
        self
    }

    /// Sends at most so many requests, retries and redirects included, in this run.
    pub fn max_requests(mut self, requests: u64) -> Self {
        self.max_requests = Some(requests);
        self
    }

    /// Stops where a limit, or a pause that the server asked for, has the next request of this run wait longer than this.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = Some(wait);
        self
    }

    /// Stops at so many jobs that failed for good in this run: `10`, or `5%` of those that are finished.
    pub fn max_failures(mut self, most: &str) -> Self {
        self.max_failures = self.kept(most.parse::<MaxFailures>().map_err(|e| Error::Configuration(e.to_string())));
        self
    }

    /// Stops this run where a jq expression is true of the body of a response: `jq:.error.code == \"quota\"`.
    pub fn stop_if(mut self, rule: &str) -> Self {
        self.stop_if = self.kept(Rule::from_setting(rule));
        self
    }

    /// Claims nothing after this long, in this run.
    pub fn lasts(mut self, time: Duration) -> Self {
        self.lasts = Some(time);
        self
    }

    /// Ends the run early where this says so.
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Whom the run tells how it goes. Called from within the run, so it should be quick.
    pub fn on_event(mut self, tell: impl Fn(&RunEvent<'_>) + Send + Sync + 'static) -> Self {
        self.on_event = Box::new(tell);
        self
    }

    /// Takes the database for itself, recovers what an earlier run left, and drains until nothing is left to do, jobs that are
    /// added meanwhile included, or until it is stopped.
    ///
    /// Where this future is dropped, the run leaves as if it were told so by [`Stop::leave`].
    ///
    /// # Errors
    /// What is wrong with the settings, [`Error::Busy`] where another run holds the database, or where the store fails. Failed
    /// jobs are none.
    pub async fn run(self) -> Result<Summary, Error> {
        let stop = Stop::new();
        let _leave = LeaveIfDropped(stop.clone());
        let (asked, own) = (self.stop.clone(), stop.clone());
        let watch = tokio::spawn(async move {
            asked.reached(Phase::Drain).await;
            own.drain();
            asked.reached(Phase::Leave).await;
            own.leave();
        });
        if self.stop.phase() > Phase::Go {
            stop.drain(); // before the first claim, not soon after it
        }
        let ended = tokio::spawn(self.drain(stop)).await;
        watch.abort();
        ended.map_err(|panic| Error::Run(panic.into()))?
    }

    /// On a task of its own: its futures of the store are never dropped.
    async fn drain(mut self, stop: Stop) -> Result<Summary, Error> {
        if let Some(wrong) = self.wrong.take() {
            return Err(wrong);
        }
        let clock = Clock::start();
        let Haul { store, path } = self.haul.clone();
        let host = host();
        let since = crate::report::iso_8601(clock.now_us());
        let _lock = RunLock::take(&path, &format!("pid {} on {host} since {since}", std::process::id()))?;
        let last = store.settings().await?;
        let (mut settings, work) = self.settings(last.as_deref())?;
        if let Some(before) = settings.processed_by(work.version()) {
            let now = &**work.version();
            tracing::warn!(
                before,
                now,
                "the processor is another one than in the last run; results that are there stay"
            );
        }
        let durability = settings.durability;
        if let Some(condition) = &self.again {
            reprocess::take_up(&store, &path, condition, &settings, &stop, clock).await?;
        }
        let run = Run {
            settings,
            work,
            sends: self.again.is_none(),
            secrets: self.secrets,
            secret_headers: self.secret_headers,
            limit: self.begins,
            max_requests: self.max_requests,
            max_wait: self.max_wait,
            max_failures: self.max_failures,
            stop_if: self.stop_if,
            lasts: self.lasts,
            stop,
            on_event: self.on_event,
            clock,
            host,
        };
        store.set_durability(durability).await?;
        let ended = pipeline::run(store.clone(), run).await;
        let set_back = store.set_durability(Durability::PowerLoss).await;
        let (ended, ()) = (ended?, set_back?);
        Ok(Summary::new(ended, store.counts().await?))
    }

    /// What it was told, laid over the settings of the last run.
    fn settings(&mut self, last: Option<&str>) -> Result<(Settings, Work), Error> {
        let wrong = |why: &str| Err(Error::Configuration(why.to_owned()));
        let mut settings = match last.map(serde_json::from_str).transpose() {
            Ok(settings) => settings.unwrap_or_default(),
            Err(e) => return wrong(&format!("failed to read the settings of the last run: {e}")),
        };
        for change in self.changes.drain(..) {
            change(&mut settings);
        }
        if !self.limits.is_empty() {
            settings.limits = std::mem::take(&mut self.limits);
        }
        if let Some(jitter) = self.jitter {
            for limit in &mut settings.limits {
                limit.jitter_us = micros(jitter).min(limit.window_us);
            }
        }
        match &settings {
            s if !(1..=10_000).contains(&s.concurrency) => return wrong("a concurrency is between 1 and 10,000"),
            s if s.threads > 1_024 => return wrong("more than 1,024 CPU threads"),
            s if s.max_attempts == 0 => return wrong("0 attempts would send nothing; 1 tries nothing again"),
            s if s.max_body == 0 => return wrong("a body of 0 bytes at most would fail every request"),
            s if s.process_timeout.is_zero() => return wrong("a process timeout of 0 would fail every job"),
            s if s.timeout.is_zero() || s.connect_timeout.is_zero() => {
                return wrong("a timeout of 0 would fail every request");
            }
            s if s.backoff.base > s.backoff.ceiling => return wrong("the first wait is longer than the longest"),
            _ => {}
        }
        let work = match (self.work.take(), &settings.process) {
            (Some(work), _) => {
                // Who goes on without this program must not take the responses for results.
                settings.process = Some(format!("{OF_A_PROGRAM}{}", work.version()));
                work
            }
            (None, Some(name)) if name.starts_with(OF_A_PROGRAM) => {
                return wrong(&format!(
                    "the last run had a processor of its own ({name}); give it with `process`, or say `process_nothing`"
                ));
            }
            (None, _) => Work::from_settings(&settings)?,
        };
        let work = match &settings.fail_if {
            Some(rule) => work.unless(Rule::from_setting(rule)?),
            None => work,
        };
        Ok((settings, work))
    }

    fn set(mut self, change: impl FnOnce(&mut Settings) + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// What was given, unless it is wrong; the first that is wrong is told by the run.
    fn kept<T>(&mut self, given: Result<T, impl Into<Error>>) -> Option<T> {
        given.map_err(|wrong| self.wrong.get_or_insert_with(|| wrong.into())).ok()
    }
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("haul", &self.haul).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Nobody waits for the run any more where this is dropped before its end.
struct LeaveIfDropped(Stop);

impl Drop for LeaveIfDropped {
    fn drop(&mut self) {
        self.0.leave();
    }
}
