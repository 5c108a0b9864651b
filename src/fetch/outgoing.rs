//! A stored request as it is sent: with the values of its secrets, and wherever redirects have led it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Display;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::secret_header::{self, SecretHeader};
use crate::attempt::{ErrorType, Failure, Verdict};
use crate::clock::Micros;
use crate::request::Request;
use crate::secret::{Lookup, SecretName, Values, resolve};
use crate::settings::guard::Guard;

/// What is sent, next or again. Not for logs: it holds values of secrets.
pub struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    /// A secret stands in the body.
    pub(super) secret_body: bool,
    /// What must not be quoted.
    pub(super) values: Values,
    /// The header that tells a repetition, where it is ours.
    pub(super) key_header: Option<HeaderName>,
    /// Where redirects came from.
    pub(super) visited: Vec<(Method, Url)>,
    /// When it was sent first.
    pub(super) first_us: Option<Micros>,
    /// For how long the server has had it so far.
    pub(super) spent_us: Micros,
    /// What was sent first may do harm when it is sent twice.
    pub(super) harmful: bool,
    /// It was answered, and what follows only looks at the outcome: `303 See Other`.
    pub(super) done: bool,
    /// How often its job has failed before.
    pub(super) failures: u32,
}

/// Why a request cannot be sent.
#[derive(Debug)]
pub enum Unfit {
    /// A secret cannot be had, as its lookup says: no fault of the job.
    Secret(String),
    /// The request itself is wrong.
    Request(Failure),
}

impl Outgoing {
    /// Puts the values of its secrets into a request. `key` is an idempotency key with its header; one of the request's own
    /// goes before it.
    ///
    /// # Errors
    /// Why the request cannot be sent.
    pub(super) fn new(
        request: &Request,
        key: Option<(&str, &str)>,
        secrets: &Lookup,
        secret_headers: &[SecretHeader],
    ) -> Result<Self, Unfit> {
        let values = RefCell::new(Values::default());
        let resolved = |text| resolved(text, secrets, &values);
        let method: Method = request.method.parse().map_err(|e: http::method::InvalidMethod| wrong("method", &e))?;
        let mut url = Url::parse(&resolved(&request.url)?).map_err(|e| wrong("url", &e))?;
        url.set_fragment(None); // it is never sent
        let mut headers = HeaderMap::new();
        for (name, given) in &request.headers {
            let name = HeaderName::try_from(name.as_str()).map_err(|e| wrong("header name", &e))?;
            let one = std::slice::from_ref(given);
            for text in given.as_array().map_or(one, Vec::as_slice) {
                let text = text.as_str().unwrap_or_default();
                headers.append(name.clone(), header(&name, text, resolved(text)?, &values)?);
            }
        }
        secret_header::put(secret_headers, &mut headers, &mut values.borrow_mut())
            .map_err(|why| Unfit::Request(Failure::new(ErrorType::REQUEST, Verdict::Permanent, why)))?;
        let key =
            key.map(|(name, key)| Ok::<_, http::Error>((name.parse::<HeaderName>()?, key.parse::<HeaderValue>()?)));
        let key = key.transpose().map_err(|e| wrong("key", &e))?.filter(|(name, _)| !headers.contains_key(name));
        let key_header = key.map(|(name, key)| {
            headers.insert(name.clone(), key);
            name
        });
        let text = request.body.as_ref().and_then(|body| std::str::from_utf8(body).ok()).map(&resolved).transpose()?;
        let (body, secret_body) = match text {
            Some(Cow::Owned(text)) => (Some(Bytes::from(text)), true),
            _ => (request.body.clone(), false),
        };
        let harmful = matches!(method, Method::POST | Method::PATCH);
        Ok(Self {
            method,
            url,
            headers,
            body,
            secret_body,
            values: values.into_inner(),
            key_header,
            visited: Vec::new(),
            first_us: None,
            spent_us: 0,
            harmful,
            done: false,
            failures: 0,
        })
    }

    /// Its job has failed so often before.
    #[must_use]
    pub fn after(self, failures: u32) -> Self {
        Self { failures, ..self }
    }

    /// Whether the request may be sent there.
    ///
    /// # Errors
    /// Why not, without values of secrets.
    pub(super) fn check(&self, guard: &Guard, url: &Url) -> Result<(), String> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        guard.check_host(host, port).map_err(|why| self.values.hide(&why.to_string()).into_owned())
    }

    /// What the client sends. Where no redirect will be followed the headers are needed only once.
    pub(super) fn take(&mut self, again: bool) -> reqwest::Request {
        let mut request = reqwest::Request::new(self.method.clone(), self.url.clone());
        *request.headers_mut() = if again { self.headers.clone() } else { std::mem::take(&mut self.headers) };
        *request.body_mut() = self.body.clone().map(Into::into);
        request
    }
}

/// The values of the secrets that a request names; `None` where one cannot be had now.
pub(super) fn values_of(request: &Request, secrets: &Lookup, headers: &[SecretHeader]) -> Option<Values> {
    Outgoing::new(request, None, secrets, headers).map(|outgoing| outgoing.values).ok()
}

fn wrong(what: &str, why: &dyn Display) -> Unfit {
    let message = format!("the stored {what} cannot be sent: {why}");
    Unfit::Request(Failure::new(ErrorType::REQUEST, Verdict::Permanent, message))
}

fn resolved<'a>(text: &'a str, secrets: &Lookup, values: &RefCell<Values>) -> Result<Cow<'a, str>, Unfit> {
    let lookup = |name: &SecretName| {
        let value = secrets(name)?;
        values.borrow_mut().add(name.clone(), value.clone());
        Ok(value)
    };
    resolve(text, &lookup).map_err(Unfit::Secret)
}

/// Basic authentication is stored as `Basic USER:PASSWORD`, in which the password may be a secret. What is encoded already has
/// no colon.
fn header(name: &HeaderName, stored: &str, text: Cow<'_, str>, values: &RefCell<Values>) -> Result<HeaderValue, Unfit> {
    let is_secret = matches!(text, Cow::Owned(_)); // only a text with a secret is made anew
    let plain = (*name == AUTHORIZATION).then(|| text.strip_prefix("Basic ")).flatten();
    let encoded = plain.filter(|plain| plain.contains(':')).map(|plain| BASE64_STANDARD.encode(plain));
    if let (Some(encoded), Some(named)) = (&encoded, crate::secret::secrets_in(stored).pop()) {
        values.borrow_mut().add(named, encoded.clone());
    }
    let text = encoded.map_or(text, |encoded| format!("Basic {encoded}").into());
    let mut value = HeaderValue::from_str(&text).map_err(|e| match is_secret {
        true => Unfit::Secret(format!("the one in the header {name} holds a character that no header may hold")),
        false => wrong("header value", &e),
    })?;
    value.set_sensitive(is_secret);
    Ok(value)
}
