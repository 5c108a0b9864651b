//! What went wrong with a request, in the words of [`ErrorType`], and whether it is worth another try.

use std::error::Error;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, DATE, HeaderMap, RETRY_AFTER, TRANSFER_ENCODING};

use super::retry_after;
use crate::attempt::{ErrorType, Failure, Verdict};
use crate::clock::{Micros, micros};
use crate::secret::Values;
use crate::settings::Settings;
use crate::settings::guard::Blocked;

/// Longest quotation of a body in a message, in characters.
const QUOTE: usize = 200;

/// A complete response that `--success` does not accept.
pub(super) fn of_status(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    settings: &Settings,
    values: &Values,
    now_us: Micros,
) -> Option<Failure> {
    let code = status.as_u16();
    if settings.success.has_code(code) {
        return None;
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // Of several that contradict each other the longest does no harm.
    let waits = headers.get_all(RETRY_AFTER).iter().filter_map(|value| value.to_str().ok());
    let wait = waits.filter_map(|value| retry_after(value, text(DATE.as_str()))).max();
    let verdict = match settings.retry_on.has_code(code) {
        true if code == 429 => Verdict::Throttled,
        true => Verdict::Transient,
        false => Verdict::Permanent,
    };
    // A server may send back what it was sent.
    let quote = values.quote(String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()), QUOTE);
    let reason = status.canonical_reason().unwrap_or("no standard reason");
    Some(Failure {
        error_type: ErrorType::status(code),
        message: if quote.is_empty() { format!("{code} {reason}") } else { format!("{code} {reason}: {quote}") },
        verdict,
        not_before_us: wait.map(|wait| now_us + micros(wait)),
        answered: true,
    })
}

/// A body beyond `--max-body`.
pub(super) fn too_large(max: u64) -> Failure {
    Failure::new(
        ErrorType::BODY_TOO_LARGE,
        Verdict::Permanent,
        format!("the body is larger than {max} bytes; --max-body allows more"),
    )
}

/// A head that says in two ways where its body ends: what one reader takes for the end is to another the middle, or the
/// beginning of an answer to somebody else.
pub(super) fn of_framing(headers: &HeaderMap, settings: &Settings) -> Option<Failure> {
    let both = headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING);
    let verdict = verdict(&ErrorType::DECODE, settings);
    let message = "the answer has both a Content-Length and a Transfer-Encoding, so its end is not certain";
    both.then(|| Failure::new(ErrorType::DECODE, verdict, message))
}

/// No complete response.
pub(super) fn of_error(error: &reqwest::Error, settings: &Settings, values: &Values) -> Failure {
    if let Some(blocked) = blocked(error) {
        return Failure::new(ErrorType::BLOCKED, Verdict::Permanent, values.hide(&blocked.to_string()));
    }
    let chain = chain(error);
    let error_type = error_type(error, &chain);
    let verdict = verdict(&error_type, settings);
    let message = match &error_type {
        t if *t == ErrorType::TIMEOUT && error.is_connect() => {
            format!("no connection within {}", humantime::format_duration(settings.connect_timeout))
        }
        t if *t == ErrorType::TIMEOUT => {
            format!("no complete answer within {}", humantime::format_duration(settings.timeout))
        }
        t if *t == ErrorType::TLS && chain.contains("certificate") => match () {
            () if chain.contains("Expired") || chain.contains("expired") => {
                format!("{chain}; the server needs a new certificate")
            }
            () if chain.contains("not valid for name") => format!("{chain}; the certificate is that of another host"),
            () => format!("{chain}; --cacert FILE trusts the authority that signed it"),
        },
        _ => chain,
    };
    Failure::new(error_type, verdict, values.hide(&message))
}

/// Whether it was a server of names that said so: there is no such name. What the system's libraries call that has no number
/// here, only words.
pub(super) fn is_no_name(failure: &Failure) -> bool {
    const WORDS: [&str; 4] = [
        "Name or service not known",
        "No address associated with hostname",
        "nodename nor servname provided",
        "Name does not resolve",
    ];
    failure.error_type == ErrorType::DNS && WORDS.iter().any(|words| failure.message.contains(words))
}

fn verdict(error_type: &ErrorType, settings: &Settings) -> Verdict {
    if settings.retry_on.has_type(error_type) { Verdict::Transient } else { Verdict::Permanent }
}

/// What the resolver said, where that was it.
fn blocked(error: &reqwest::Error) -> Option<&Blocked> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(blocked) = error.downcast_ref() {
            return Some(blocked);
        }
        cause = error.source();
    }
    None
}

/// Whether the request may have been carried out although there is no complete answer: only where there was no connection
/// it is certain that nothing was sent.
pub(super) fn may_be_done(error: &reqwest::Error) -> bool {
    !error.is_connect() && !error.is_builder()
}

/// What the TLS library calls a server that it cannot come to terms with; an alert of an internal error may pass.
const TLS_WORDS: [&str; 8] = [
    "certificate",
    "tls",
    "TLS",
    "received fatal alert",
    "received corrupt message",
    "received unexpected",
    "peer is incompatible",
    "peer misbehaved",
];

/// By what reqwest tells, and where it tells nothing by the words of the causes below it.
fn error_type(error: &reqwest::Error, chain: &str) -> ErrorType {
    // That it was read from a connection says nothing of what was wrong with it.
    let chain = chain.replace("error reading a body from connection", "");
    let says = |words: &[&str]| words.iter().any(|word| chain.contains(word));
    if error.is_timeout() {
        ErrorType::TIMEOUT
    } else if says(&["stream error received", "connection error received"]) {
        // HTTP/2: the server broke it off, or never looked at it; frames that make no sense are below.
        ErrorType::CONNECT
    } else if says(&["stream error detected", "connection error detected"]) {
        ErrorType::DECODE
    } else if says(&["dns error", "failed to lookup address"]) {
        ErrorType::DNS
    } else if says(&TLS_WORDS) && !says(&["fatal alert: InternalError"]) && !left_without_a_word(error, &chain) {
        ErrorType::TLS
    } else if says(&["end of file before message length", "unexpected EOF during chunk", "body write aborted"]) {
        ErrorType::BODY_TRUNCATED
    } else if error.is_connect() || says(&["connection", "Connection", "Broken pipe", "reset by peer"]) {
        ErrorType::CONNECT
    } else if error.is_builder() {
        ErrorType::REQUEST
    } else {
        ErrorType::DECODE
    }
}

/// The other side went without the farewell of TLS, as many do: once a connection stands, that is like any that breaks.
fn left_without_a_word(error: &reqwest::Error, chain: &str) -> bool {
    !error.is_connect() && chain.contains("close_notify")
}

/// The causes below the error, without the URL: it may hold what must not be shown.
fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    causes.dedup();
    if causes.is_empty() { "the request failed".to_owned() } else { causes.join(": ") }
}
