//! The fetch stage: one request, one complete and bounded response, or the reason why not.

mod advice;
mod budget;
mod client;
mod clients;
mod connection;
mod failure;
#[cfg(test)]
mod fuzz;
mod outgoing;
mod public_resolver;
mod redirect;
mod secret_header;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use serde_json::{Map, Value};
use tokio::sync::OwnedSemaphorePermit;

use crate::attempt::{ErrorType, Failure, Measured, Verdict};
use crate::clock::{Clock, Micros};
use crate::fail_point::{Point, pass, pass_waiting};
use crate::limit::Allowance;
use crate::request::Request;
use crate::response::Response;
use crate::secret::{Lookup, Values};
use crate::settings::{OnUncertain, Settings};
use budget::Budget;
use clients::Clients;

pub use client::SetupError;
pub use connection::Opened;
pub use outgoing::{Outgoing, Unfit};
pub use secret_header::SecretHeader;

/// Bytes of bodies in memory between fetch and commit, at most (beside what [`Budget::share`] allows each job).
const BUDGET_BYTES: usize = 64 << 20;

/// In place of a text that may quote what was sent.
const WITHHELD: &str = "what it said is left out: it may hold a secret of the request, which is not at hand to be told apart (a \
                        variable that is not set, a file that is not there, a credential that was given by flag)";

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    clients: Arc<Clients>,
    /// Connections that one client may open to several hosts.
    most_opened: usize,
    settings: Arc<Settings>,
    secrets: Arc<Lookup>,
    secret_headers: Arc<[SecretHeader]>,
    budget: Budget,
    clock: Clock,
}

/// What became of a request.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Times and sizes, as far as it came.
    pub measured: Measured,
    /// The response, where it was complete; a failed one too.
    pub response: Option<Arc<Response>>,
    /// Why it does not count as a success.
    pub failure: Option<Failure>,
    /// What the server says is left of its limits.
    pub allowances: Vec<Allowance>,
    /// Room in the byte budget, held until the response is committed.
    pub room: Option<OwnedSemaphorePermit>,
    /// The server named another place, and the request has been led there: it is to be sent again.
    pub redirected: bool,
}

/// A body, and room for it.
type Body = (Bytes, Option<OwnedSemaphorePermit>);

impl Fetcher {
    /// What sends as `settings` say. `secrets` gives the values of secrets that requests name.
    ///
    /// # Errors
    /// Where the proxy or the certificates of `settings` cannot be used, or the TLS library cannot start.
    pub fn new(settings: Arc<Settings>, secrets: Arc<Lookup>, clock: Clock) -> Result<Self, SetupError> {
        let clients = Arc::new(Clients::new(settings.clone(), secrets.clone())?);
        let budget = Budget::new(BUDGET_BYTES, settings.concurrency);
        let most_opened = usize::MAX;
        Ok(Self { clients, most_opened, settings, secrets, secret_headers: Arc::new([]), budget, clock })
    }

    /// At most about so many connections to different hosts are kept open for later requests.
    #[must_use]
    pub fn with_idle(self, most: usize) -> Self {
        Self { most_opened: most, ..self }
    }

    /// Every request is sent with these headers too; one of the same name that a request has gives way.
    #[must_use]
    pub fn with_secret_headers(self, headers: Vec<SecretHeader>) -> Self {
        Self { secret_headers: headers.into(), ..self }
    }

    /// Makes a request ready to be sent. `idempotency_key` is sent in the header that the settings name.
    ///
    /// # Errors
    /// Why it cannot be sent.
    pub fn prepare(&self, request: &Request, idempotency_key: Option<&str>) -> Result<Outgoing, Unfit> {
        let key = self.settings.idempotency_header.as_deref().zip(idempotency_key);
        let outgoing = Outgoing::new(request, key, &*self.secrets, &self.secret_headers)?;
        match outgoing.check(&self.settings.guard, &outgoing.url) {
            Ok(()) => Ok(outgoing),
            Err(why) => Err(Unfit::Request(Failure::new(ErrorType::BLOCKED, Verdict::Permanent, why))),
        }
    }

    /// A text that the server may have had a say in, without values of the request's secrets.
    #[must_use]
    pub fn hide(&self, request: &Request, text: String) -> String {
        match outgoing::values_of(request, &*self.secrets, &self.secret_headers) {
            Some(values) if values.is_empty() => text,
            Some(values) => values.hide(&text).into_owned(),
            None => WITHHELD.to_owned(),
        }
    }

    /// Sends the request and reads its answer. `opened` learns at once that a connection had to be opened for it, and
    /// `answered` when the head of the response, or an error, is there. The timeout covers all the redirects of a request,
    /// but not the time between an answer and the next sending.
    pub async fn send(&self, outgoing: &mut Outgoing, opened: Opened, answered: impl FnOnce(Micros)) -> Fetched {
        let sent_us = self.clock.now_us();
        let first_us = *outgoing.first_us.get_or_insert(sent_us);
        let mut measured = Measured { started_at_us: Some(first_us), ..Measured::default() };
        let mut request = outgoing.take(self.settings.max_redirects > 0);
        let spent = Duration::from_micros(outgoing.spent_us.unsigned_abs());
        *request.timeout_mut() = Some(self.settings.timeout.saturating_sub(spent));
        let (client, count) = self.clients.of(&outgoing.url, self.most_opened);
        let counted = Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            opened();
        });
        let sent = pass_waiting(Point::Sending, connection::watched(counted, client.execute(request))).await;
        drop(client); // as soon as it may, with the connections that it keeps
        let head_us = self.clock.now_us();
        answered(head_us);
        let mut head = match sent {
            Ok(head) => head,
            Err(error) => {
                return Fetched { measured, failure: Some(self.failure(&error, outgoing)), ..Fetched::default() };
            }
        };
        pass(Point::AfterHead);
        let allowances = advice::allowances(head.headers(), head_us);
        measured.ttfb_us = Some(head_us - first_us);
        measured.status_code = Some(head.status().as_u16());
        let read = self.body(&mut head, outgoing).await;
        pass(Point::AfterBody);
        let fetched_at_us = self.clock.now_us();
        outgoing.spent_us += fetched_at_us - sent_us;
        let (body, room) = match read {
            Ok(read) => read,
            Err(failure) => return Fetched { measured, failure: Some(failure), allowances, ..Fetched::default() },
        };
        measured.fetch_us = Some(fetched_at_us - first_us);
        measured.bytes = Some(body.len() as u64);
        let mut failure = self.judge(&head, &body, &outgoing.values, fetched_at_us);
        if failure.is_some() && self.settings.max_redirects > 0 && redirect::is_one(head.status()) {
            match redirect::follow(outgoing, head.status(), head.headers(), &self.settings) {
                Ok(()) => return Fetched { redirected: true, ..Fetched::default() },
                Err(why) => {
                    let refused = Failure::new(ErrorType::REDIRECT, Verdict::Permanent, why);
                    failure = Some(Failure { answered: true, ..refused });
                }
            }
        }
        let headers = stored_headers(head.headers());
        let status_code = head.status().as_u16();
        let response = Some(Arc::new(Response { status_code, headers, body, fetched_at_us }));
        Fetched { measured, response, failure, allowances, room, redirected: false }
    }

    fn judge(&self, head: &reqwest::Response, body: &[u8], values: &Values, now_us: Micros) -> Option<Failure> {
        failure::of_status(head.status(), head.headers(), body, &self.settings, values, now_us)
    }

    /// A stored response as the rule of success sees it now; nothing is sent for it, whatever that says.
    #[must_use]
    pub fn judge_again(&self, request: &Request, response: &Response) -> Option<Failure> {
        if self.settings.success.has_code(response.status_code) {
            return None;
        }
        let values = outgoing::values_of(request, &*self.secrets, &self.secret_headers);
        let body = values.as_ref().map_or(&[][..], |_| &response.body);
        let status = reqwest::StatusCode::from_u16(response.status_code).ok()?;
        let failure =
            failure::of_status(status, &HeaderMap::new(), body, &self.settings, &values.unwrap_or_default(), 0)?;
        Some(Failure { verdict: Verdict::Permanent, ..failure })
    }

    /// No complete response; where its request may have been carried out, the settings say whether it is sent again.
    fn failure(&self, error: &reqwest::Error, outgoing: &Outgoing) -> Failure {
        let mut failure = failure::of_error(error, &self.settings, &outgoing.values);
        if outgoing.failures > 0 && failure::is_no_name(&failure) {
            failure.verdict = Verdict::Permanent; // a name that is new may not be known everywhere: one more try is enough
        }
        if failure::may_be_done(error) || outgoing.done {
            self.if_uncertain(&mut failure, outgoing);
        }
        failure
    }

    /// Whether a request that redirects have led elsewhere may begin anew.
    #[must_use]
    pub fn may_repeat(&self, outgoing: &Outgoing) -> bool {
        !(outgoing.harmful && outgoing.done && self.settings.on_uncertain == OnUncertain::Fail)
    }

    fn if_uncertain(&self, failure: &mut Failure, outgoing: &Outgoing) {
        if outgoing.harmful && self.settings.on_uncertain == OnUncertain::Fail {
            failure.verdict = Verdict::Permanent;
            failure.message += "; it may have been carried out, so it is not sent again (--on-uncertain fail)";
        }
    }

    /// Reads the body, counting what comes out of its decompression.
    async fn body(&self, head: &mut reqwest::Response, outgoing: &Outgoing) -> Result<Body, Failure> {
        if let Some(mut failure) = failure::of_framing(head.headers(), &self.settings) {
            self.if_uncertain(&mut failure, outgoing);
            return Err(failure);
        }
        let max = self.settings.max_body;
        let announced = head.content_length().unwrap_or(0);
        if announced > max {
            return Err(failure::too_large(max));
        }
        let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0).min(self.budget.share));
        let mut room = None;
        loop {
            match head.chunk().await {
                Ok(Some(chunk)) if (body.len() + chunk.len()) as u64 > max => return Err(failure::too_large(max)),
                Ok(Some(chunk)) => {
                    if room.is_none() && body.len() + chunk.len() > self.budget.share {
                        let most = if announced > 0 { announced } else { max };
                        room = Some(self.budget.room(most).await);
                    }
                    body.extend_from_slice(&chunk);
                    pass(Point::MidBody);
                }
                Ok(None) => return Ok((body.freeze(), room)),
                Err(error) => return Err(self.failure(&error, outgoing)),
            }
        }
    }
}

fn stored_headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut stored = Map::new();
    for (name, value) in headers {
        let value = Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned());
        match stored.get_mut(name.as_str()) {
            None => drop(stored.insert(name.as_str().to_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    stored
}

/// How long from now a `Retry-After` asks to wait, at most `MAX_RETRY_AFTER`; `None` = it is garbage.
fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // What is too large for the type is too long all the more.
        return Some(value.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs).min(MAX_RETRY_AFTER));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    // Against the server's own clock: ours may be minutes off.
    let from = httpdate::parse_http_date(date?.trim()).ok()?;
    Some(until.duration_since(from).unwrap_or_default().min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen failing with the date taken against nothing.
    #[test]
    fn a_retry_after_is_seconds_or_a_date_on_the_servers_clock_and_at_most_an_hour() {
        let date = Some("Mon, 23 Nov 2026 10:00:00 GMT");
        let seconds = |value, date| retry_after(value, date).map(|wait| wait.as_secs());
        assert_eq!([seconds("7", None), seconds("1000000000000", None)], [Some(7), Some(3600)]);
        assert_eq!(seconds("99999999999999999999999", None), Some(3600), "beyond all numbers");
        assert_eq!(seconds("Mon, 23 Nov 2026 10:00:09 GMT", date), Some(9));
        assert_eq!(seconds("Mon, 23 Nov 2026 09:00:00 GMT", date), Some(0), "past");
        assert_eq!([seconds("-1", date), seconds("soon", date), seconds("", date), seconds("+5", date)], [None; 4]);
    }
}
