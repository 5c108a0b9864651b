//! The flags of `run` that are remembered, laid over what the last run was told.

mod judging;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use haul::backoff::Backoff;
use haul::settings::guard::{HostPattern, HostPatternError};
use haul::settings::{Durability, KeepResponses, OnUncertain, RequestTemplate, Settings};
use haul::status::StatusSet;

use super::exit::UsageError;
use super::rate;
use super::secrets::{self, Given};
pub(crate) use judging::JudgingFlags;

/// How rows become requests.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Requests")]
pub(crate) struct RequestFlags {
    /// URL of each request, a template over the row's columns: 'https://x/{{ id }}'
    #[arg(long, value_name = "TEMPLATE")]
    url: Option<String>,
    /// HTTP method [default: GET, with a body POST]
    #[arg(short = 'X', long = "method", value_name = "METHOD")]
    method: Option<String>,
    /// A header, 'Name: value', a template; repeatable. A credential as it is (Authorization, Cookie, *-key, *-token) is used
    /// for this run only and never stored; {{ env('NAME') }} and {{ file('PATH') }} are stored by name
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Basic authentication, for this run only; with "USER:{{ env('NAME') }}" for every run
    #[arg(short = 'u', long = "user", value_name = "USER:PASS")]
    user: Option<String>,
    /// A text body, a template; @FILE reads it from a file
    #[arg(short = 'd', long = "data", value_name = "BODY|@FILE", conflicts_with = "json_body")]
    body: Option<String>,
    /// A JSON body, a template in which each {{ value }} is written as JSON; @FILE reads it from a file
    #[arg(long, value_name = "BODY|@FILE")]
    json_body: Option<String>,
    /// Identity of each job, a template [default: hash of the request]
    #[arg(long, value_name = "TEMPLATE")]
    key: Option<String>,
    /// What relative URLs of the input are joined to: https://api.example.com/v1
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

impl RequestFlags {
    /// Lays what is given over `settings`.
    ///
    /// Gives the credentials among it that must not be stored.
    pub(crate) fn apply(self, settings: &mut Settings) -> anyhow::Result<Given> {
        let template = &mut settings.template;
        let (body, json_body) = (self.body.map(text).transpose()?, self.json_body.map(text).transpose()?);
        if body.is_some() || json_body.is_some() {
            (template.body, template.json_body) = (body, json_body);
        }
        template.url = self.url.or_else(|| template.url.take());
        template.method = self.method.or_else(|| template.method.take());
        template.key = self.key.or_else(|| template.key.take());
        template.base_url = self.base_url.or_else(|| template.base_url.take());
        Ok(secrets::lay_headers(self.headers, self.user, &mut template.headers)?)
    }
}

/// Credentials that the last run was given by flag, and that were not stored.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Requests")]
pub(crate) struct CredentialFlags {
    /// The value of a credential that the last run was given by flag: 'Authorization: ..'; repeatable
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Basic authentication, where the last run was given it by flag
    #[arg(short = 'u', long = "user", value_name = "USER:PASS")]
    user: Option<String>,
}

impl CredentialFlags {
    /// The values, where the requests of `settings`, or those of an earlier import, need them.
    pub(crate) fn give(self, settings: &Settings, imported: &[RequestTemplate]) -> Result<Given, UsageError> {
        secrets::give_again(self.headers, self.user, &settings.template, imported)
    }
}

/// How jobs are worked on.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Pace, processing and retries")]
pub(crate) struct WorkFlags {
    /// Rate limit: 20/s, 600/m, 100/10s, 10000/d; repeatable, all hold at once; 'none' = no limit [default: none]
    #[arg(short, long, value_name = "N/TIME", env = "HAUL_RATE", value_delimiter = ',')]
    rate: Vec<rate::Given>,
    /// Spread between sending and arriving, J of the rate rule [default: 20ms]
    #[arg(long, value_name = "TIME", value_parser = time)]
    jitter: Option<Duration>,
    /// Jobs in flight at most: what a crash may cost [default: 64]
    #[arg(short, long, value_name = "N", env = "HAUL_CONCURRENCY", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: Option<u32>,
    #[command(flatten)]
    judging: JudgingFlags,
    /// Deadline from sending to result; late results are kept, and counted
    #[arg(long, value_name = "TIME", value_parser = time)]
    sla: Option<Duration>,
    /// From sending to the last byte of the body [default: 60s]
    #[arg(long, value_name = "TIME", env = "HAUL_TIMEOUT", value_parser = time)]
    timeout: Option<Duration>,
    /// To an open connection [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    connect_timeout: Option<Duration>,
    /// How long a stop waits for what is in flight [default: timeout + process timeout + 1s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    grace: Option<Duration>,
    /// Largest body, after decompression: 512KiB, 10MiB [default: 10MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_body: Option<u64>,
    /// What is tried again [default: 408,425,429,5xx,timeout,connect,dns,body_truncated]
    #[arg(long, value_name = "CODES|TYPES")]
    retry_on: Option<StatusSet>,
    /// Failures after which a job is given up [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    max_attempts: Option<u32>,
    /// First and longest wait between tries; the wait is a random part of it [default: 250ms..60s]
    #[arg(long, value_name = "MIN..MAX", value_parser = backoff)]
    backoff: Option<Backoff>,
    /// A POST or PATCH whose answer was lost: send it again, with its idempotency key, or fail its job [default: retry]
    #[arg(long, value_name = "retry|fail", value_parser = on_uncertain)]
    on_uncertain: Option<OnUncertain>,
    /// The header that carries the idempotency key of POST and PATCH; 'none' sends none [default: Idempotency-Key]
    #[arg(long, value_name = "NAME", value_parser = header_name)]
    idempotency_header: Option<String>,
    /// Redirects followed for one request, a permit each [default: 0]. Credentials and secrets go to no other server
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=20))]
    max_redirects: Option<u32>,
    /// The proxy of all requests, http://HOST:PORT or https://..; 'none' = none, which is the default whatever the environment
    /// says. Its credentials are named: http://{{ env('USER') }}:{{ env('PASS') }}@HOST:PORT
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// A file of certificates (PEM) to trust beside the usual ones; 'none' = no such file
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Do not check the certificates of servers [default: check them]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    insecure: Option<bool>,
    /// Send to these hosts only: api.example.com, '*.example.org' (what is below it), 10.0.0.7:8080; repeatable; 'any' = all
    ///
    /// Redirects too. A job that names another host fails with `blocked`, without a request.
    #[arg(long, value_name = "HOST", value_delimiter = ',', value_parser = allowed)]
    allow_hosts: Vec<Allowed>,
    /// Send to no loopback, private, link-local or reserved address, however it is written and whatever a name leads to
    ///
    /// For inputs of other people. Redirects too. Through a --proxy, which looks names up itself, only to no such literal.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    block_private: Option<bool>,
    /// Of which finished jobs the response stays stored [default: all]
    ///
    /// Until its job is finished a response is always there. What is not kept cannot be processed again: `haul reprocess`
    /// leaves it alone, and after a failure in processing `haul retry` asks the server again.
    #[arg(long, value_name = "all|failed|none", value_parser = keep_responses)]
    keep_responses: Option<KeepResponses>,
    /// Store bodies packed (zstd) where that helps; SQL shows those as bytes, all else unpacks them [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    compress: Option<bool>,
    /// What a commit survives [default: power-loss]
    #[arg(long, value_name = "LEVEL", env = "HAUL_DURABILITY", value_parser = durability)]
    durability: Option<Durability>,
}

impl WorkFlags {
    /// Lays what is given over `settings`.
    pub(crate) fn apply(self, settings: &mut Settings) -> Result<(), UsageError> {
        if let Some(limits) = rate::limits(self.rate)? {
            settings.limits = limits; // a given rate replaces the whole set
        }
        if let Some(jitter) = self.jitter {
            for limit in &mut settings.limits {
                limit.jitter_us = haul::clock::micros(jitter).min(limit.window_us);
            }
        }
        self.judging.apply(settings)?;
        lay(&mut settings.concurrency, self.concurrency.map(|n| n as usize));
        lay(&mut settings.sla, self.sla.map(Some));
        lay(&mut settings.timeout, self.timeout);
        lay(&mut settings.connect_timeout, self.connect_timeout);
        lay(&mut settings.grace, self.grace.map(Some));
        lay(&mut settings.max_body, self.max_body);
        lay(&mut settings.retry_on, self.retry_on);
        lay(&mut settings.max_attempts, self.max_attempts);
        lay(&mut settings.backoff, self.backoff);
        lay(&mut settings.durability, self.durability);
        lay(&mut settings.keep_responses, self.keep_responses);
        lay(&mut settings.compress, self.compress);
        lay(&mut settings.on_uncertain, self.on_uncertain);
        lay(&mut settings.idempotency_header, self.idempotency_header.map(unless_none));
        lay(&mut settings.max_redirects, self.max_redirects);
        lay(&mut settings.proxy, self.proxy.map(unless_none));
        lay(&mut settings.ca_file, self.cacert.map(|file| Some(file).filter(|file| file.as_os_str() != "none")));
        lay(&mut settings.insecure, self.insecure);
        lay(&mut settings.guard.block_private, self.block_private);
        lay(&mut settings.guard.allow_hosts, allow_hosts(self.allow_hosts));
        if settings.timeout.is_zero() || settings.connect_timeout.is_zero() {
            return Err(UsageError("a timeout of 0 would fail every request; leave it out for the default".to_owned()));
        }
        Ok(())
    }
}

/// What is given goes over what is there.
fn lay<T>(over: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *over = given;
    }
}

/// `none` takes back what the last run was told.
pub(super) fn unless_none(given: String) -> Option<String> {
    Some(given).filter(|given| given != "none")
}

/// The text itself, or that of the file after `@`.
fn text(given: String) -> anyhow::Result<String> {
    let Some(path) = given.strip_prefix('@') else { return Ok(given) };
    std::fs::read_to_string(path).map_err(|e| {
        let why = match e.kind() {
            std::io::ErrorKind::InvalidData => {
                "it is no UTF-8; other bytes are given by row, as the body_base64 of a JSON line".to_owned()
            }
            _ => e.to_string(),
        };
        UsageError(format!("failed to read the body from {path}: {why}")).into()
    })
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("`{text}` is no time; write 500ms, 30s or 1m30s"))
}

fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "K" | "KB" | "KiB" => 1 << 10,
        "M" | "MB" | "MiB" => 1 << 20,
        "G" | "GB" | "GiB" => 1 << 30,
        _ => return Err("write bytes, or 512KiB, 10MiB, 1GiB".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "write bytes, or 512KiB, 10MiB, 1GiB".to_owned())?;
    number.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(|| "it must be between 1 byte and 16 EiB".to_owned())
}

fn backoff(text: &str) -> Result<Backoff, String> {
    let (base, ceiling) = text.split_once("..").ok_or("write the first and the longest wait: 250ms..60s")?;
    let backoff = Backoff { base: time(base)?, ceiling: time(ceiling)? };
    if backoff.base > backoff.ceiling {
        return Err("the first wait is longer than the longest; write 250ms..60s".to_owned());
    }
    Ok(backoff)
}

fn durability(text: &str) -> Result<Durability, String> {
    match text {
        "power-loss" => Ok(Durability::PowerLoss),
        "crash" => Ok(Durability::Crash),
        _ => Err("write power-loss (a commit survives a power cut) or crash (only a crash of the process)".to_owned()),
    }
}

fn keep_responses(text: &str) -> Result<KeepResponses, String> {
    match text {
        "all" => Ok(KeepResponses::All),
        "failed" => Ok(KeepResponses::Failed),
        "none" => Ok(KeepResponses::None),
        _ => Err("write all, failed (those of jobs that failed) or none".to_owned()),
    }
}

fn on_uncertain(text: &str) -> Result<OnUncertain, String> {
    match text {
        "retry" => Ok(OnUncertain::Retry),
        "fail" => Ok(OnUncertain::Fail),
        _ => Err("write retry (send it again) or fail".to_owned()),
    }
}

/// A host of `--allow-hosts`; `None` = any.
type Allowed = Option<HostPattern>;

fn allowed(text: &str) -> Result<Allowed, HostPatternError> {
    if text == "any" { Ok(None) } else { text.parse().map(Some) }
}

/// A given set replaces the whole; `any` in it makes it all hosts.
fn allow_hosts(given: Vec<Allowed>) -> Option<Vec<HostPattern>> {
    (!given.is_empty()).then(|| given.into_iter().collect::<Option<_>>().unwrap_or_default())
}

fn header_name(text: &str) -> Result<String, String> {
    http::HeaderName::from_bytes(text.as_bytes()).map_err(|_| "it is not the name of a header".to_owned())?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_powers_of_two() {
        assert_eq!([size("1"), size("512KiB"), size("10MiB")], [Ok(1), Ok(524_288), Ok(10_485_760)]);
        for wrong in ["", "0", "MiB", "1TB", "-1", "99999999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_backoff_has_two_ends_in_order() {
        assert_eq!(backoff("250ms..60s"), Ok(Backoff::default()));
        for wrong in ["1s", "60s..1s", "a..b"] {
            assert!(backoff(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_given_stays_as_the_last_run_had_it() {
        let mut settings = Settings { concurrency: 7, ..Settings::default() };
        let flags = WorkFlags { max_attempts: Some(9), ..WorkFlags::default() };
        flags.apply(&mut settings).expect("valid");
        assert_eq!((settings.concurrency, settings.max_attempts), (7, 9));
    }
}
