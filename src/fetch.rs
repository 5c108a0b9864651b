//! The fetch stage: one request, one complete and bounded response, or the reason why not.

mod connection;
mod failure;
mod secret_header;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::attempt::{ErrorType, Failure, Measured, Verdict};
use crate::clock::{Clock, Micros};
use crate::request::Request;
use crate::response::Response;
use crate::secret::{Lookup, resolve};
use crate::settings::Settings;

pub use connection::Opened;
pub use secret_header::SecretHeader;

/// Bytes of bodies in memory between fetch and commit, at most (beside what [`Budget::share`] allows each job).
const BUDGET_BYTES: usize = 64 << 20;

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    client: reqwest::Client,
    settings: Arc<Settings>,
    secrets: Arc<Lookup>,
    secret_headers: Arc<[SecretHeader]>,
    budget: Budget,
    clock: Clock,
}

/// What became of a request.
#[derive(Debug)]
pub struct Fetched {
    /// Times and sizes, as far as it came.
    pub measured: Measured,
    /// The response, where it was complete; a failed one too.
    pub response: Option<Arc<Response>>,
    /// Why it does not count as a success.
    pub failure: Option<Failure>,
    /// Room in the byte budget, held until the response is committed.
    pub room: Option<OwnedSemaphorePermit>,
}

impl Fetcher {
    /// A client that sends exactly what it is told: no redirect, no retry and no proxy of its own. `secrets` gives the
    /// values of secrets that requests name.
    ///
    /// # Errors
    /// Where the TLS library cannot start.
    pub fn new(settings: Arc<Settings>, secrets: Arc<Lookup>, clock: Clock) -> Result<Self, reqwest::Error> {
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        let roots = roots.iter().filter_map(|der| reqwest::Certificate::from_der(der).ok());
        let client = reqwest::Client::builder()
            .user_agent(concat!("haul/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .tls_certs_merge(roots) // a machine without a CA bundle could send nothing, not even plain HTTP
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .pool_max_idle_per_host(settings.concurrency)
            .connector_layer(connection::Watch)
            .build()?;
        let budget = Budget::new(BUDGET_BYTES, settings.concurrency);
        Ok(Self { client, settings, secrets, secret_headers: Arc::new([]), budget, clock })
    }

    /// Every request is sent with these headers too; one of the same name that a request has gives way.
    #[must_use]
    pub fn with_secret_headers(self, headers: Vec<SecretHeader>) -> Self {
        Self { secret_headers: headers.into(), ..self }
    }

    /// Sends the request and reads its answer. `opened` learns at once that a connection had to be opened for it, and
    /// `answered` when the head of the response, or an error, is there.
    pub async fn fetch(
        &self,
        request: &Request,
        idempotency_key: Option<&str>,
        opened: Opened,
        answered: impl FnOnce(Micros),
    ) -> Fetched {
        let started_us = self.clock.now_us();
        let mut measured = Measured { started_at_us: Some(started_us), ..Measured::default() };
        let sent = match self.build(request, idempotency_key) {
            Ok(request) => connection::watched(opened, self.client.execute(request)).await,
            Err(failure) => {
                answered(self.clock.now_us());
                return Fetched { measured, response: None, failure: Some(failure), room: None };
            }
        };
        let head_us = self.clock.now_us();
        answered(head_us);
        let mut head = match sent {
            Ok(head) => head,
            Err(error) => {
                let failure = failure::of_error(&error, &self.settings);
                return Fetched { measured, response: None, failure: Some(failure), room: None };
            }
        };
        measured.ttfb_us = Some(head_us - started_us);
        measured.status_code = Some(head.status().as_u16());
        let read = self.body(&mut head).await;
        let fetched_at_us = self.clock.now_us();
        let (body, room) = match read {
            Ok(read) => read,
            Err(failure) => return Fetched { measured, response: None, failure: Some(failure), room: None },
        };
        measured.fetch_us = Some(fetched_at_us - started_us);
        measured.bytes = Some(body.len() as u64);
        let failure = failure::of_status(head.status(), head.headers(), &body, &self.settings, fetched_at_us);
        let headers = stored_headers(head.headers());
        let status_code = head.status().as_u16();
        let response = Some(Arc::new(Response { status_code, headers, body, fetched_at_us }));
        Fetched { measured, response, failure, room }
    }

    fn build(&self, request: &Request, idempotency_key: Option<&str>) -> Result<reqwest::Request, Failure> {
        let wrong = |what: &str, why: &dyn std::fmt::Display| {
            Failure::new(ErrorType::REQUEST, Verdict::Permanent, format!("the stored {what} cannot be sent: {why}"))
        };
        let resolved = |text| resolve(text, &*self.secrets).map_err(|why| wrong("secret", &why));
        let method = request.method.parse().map_err(|e: http::method::InvalidMethod| wrong("method", &e))?;
        let url = reqwest::Url::parse(&resolved(&request.url)?).map_err(|e| wrong("url", &e))?;
        let mut built = reqwest::Request::new(method, url);
        for (name, values) in &request.headers {
            let name = HeaderName::try_from(name.as_str()).map_err(|e| wrong("header name", &e))?;
            let one = std::slice::from_ref(values);
            for value in values.as_array().map_or(one, Vec::as_slice) {
                let text = resolved(value.as_str().unwrap_or_default())?;
                let mut value = HeaderValue::from_str(&text).map_err(|e| wrong("header value", &e))?;
                value.set_sensitive(matches!(text, Cow::Owned(_))); // only a text with a secret is made anew
                built.headers_mut().append(name.clone(), value);
            }
        }
        let put = secret_header::put(&self.secret_headers, built.headers_mut());
        put.map_err(|why| Failure::new(ErrorType::REQUEST, Verdict::Permanent, why))?;
        if let Some(key) = idempotency_key.filter(|_| !built.headers().contains_key("idempotency-key")) {
            let value = HeaderValue::from_str(key).map_err(|e| wrong("key", &e))?;
            built.headers_mut().insert("idempotency-key", value);
        }
        if let Some(body) = &request.body {
            let body = match std::str::from_utf8(body).ok().map(resolved).transpose()? {
                Some(Cow::Owned(text)) => Bytes::from(text),
                _ => body.clone(),
            };
            *built.body_mut() = Some(body.into());
        }
        Ok(built)
    }

    /// Reads the body, counting what comes out of its decompression.
    async fn body(&self, head: &mut reqwest::Response) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Failure> {
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
                }
                Ok(None) => return Ok((body.freeze(), room)),
                Err(error) => return Err(failure::of_error(&error, &self.settings)),
            }
        }
    }
}

/// Memory for bodies: every job has a share of one half; a larger body first takes all it may need from the other half,
/// in one piece. Because nobody waits while holding a part, nobody waits for ever.
#[derive(Debug, Clone)]
struct Budget {
    share: usize,
    common: Arc<Semaphore>,
    common_units: u32,
}

/// Large bodies are counted in units of this many bytes.
const UNIT: u64 = 1024;

impl Budget {
    fn new(bytes: usize, concurrency: usize) -> Self {
        let common_units = u32::try_from(bytes as u64 / 2 / UNIT).unwrap_or(u32::MAX);
        Self {
            share: bytes / 2 / concurrency.max(1),
            common: Arc::new(Semaphore::new(common_units as usize)),
            common_units,
        }
    }

    /// Room for a body of at most so many bytes; a body larger than all there is waits until it is alone.
    async fn room(&self, bytes: u64) -> OwnedSemaphorePermit {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.common_units);
        let Ok(room) = self.common.clone().acquire_many_owned(units).await else {
            unreachable!("the budget is never closed")
        };
        room
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
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let until = httpdate::parse_http_date(value.trim()).ok()?;
    // Against the server's own clock: ours may be minutes off.
    let from = httpdate::parse_http_date(date?.trim()).ok()?;
    Some(until.duration_since(from).unwrap_or_default().min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Whether it is ready at once.
    fn is_ready(future: impl Future<Output = OwnedSemaphorePermit>) -> Option<OwnedSemaphorePermit> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(room) => Some(room),
            Poll::Pending => None,
        }
    }

    // Seen failing with every body given one unit.
    #[test]
    fn large_bodies_share_one_budget_and_one_larger_than_all_of_it_waits_until_it_is_alone() {
        let budget = Budget::new(64 << 10, 4);
        assert_eq!(budget.share, 8 << 10, "half of it, among the jobs in flight");
        let first = is_ready(budget.room(24 << 10)).expect("32 KiB are free");
        assert!(is_ready(budget.room(24 << 10)).is_none(), "8 KiB are");
        assert!(is_ready(budget.room(u64::MAX)).is_none());
        drop(first);
        let all = is_ready(budget.room(u64::MAX)).expect("it is alone");
        assert!(is_ready(budget.room(1)).is_none());
        drop(all);
        assert!(is_ready(budget.room(1)).is_some());
    }

    // Seen failing with the date taken against nothing.
    #[test]
    fn a_retry_after_is_seconds_or_a_date_on_the_servers_clock_and_at_most_an_hour() {
        let date = Some("Mon, 23 Nov 2026 10:00:00 GMT");
        let seconds = |value, date| retry_after(value, date).map(|wait| wait.as_secs());
        assert_eq!([seconds("7", None), seconds("1000000000000", None)], [Some(7), Some(3600)]);
        assert_eq!(seconds("Mon, 23 Nov 2026 10:00:09 GMT", date), Some(9));
        assert_eq!(seconds("Mon, 23 Nov 2026 09:00:00 GMT", date), Some(0), "past");
        assert_eq!([seconds("-1", date), seconds("soon", date), seconds("", date)], [None; 3]);
    }
}
