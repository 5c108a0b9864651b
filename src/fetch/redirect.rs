//! Where a redirect leads, and what of a request may go there.

use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, COOKIE, HOST,
    HeaderMap, HeaderName, LOCATION, PROXY_AUTHORIZATION,
};
use reqwest::{Method, StatusCode, Url};

use super::outgoing::Outgoing;
use crate::secret::is_credential;
use crate::settings::Settings;
use crate::settings::guard::is_link_local;

/// Whether this status asks to look elsewhere.
pub(super) fn is_one(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Leads the request to where the answer says, without what must not go there.
///
/// # Errors
/// Why it must not be followed, without values of secrets.
pub(super) fn follow(
    outgoing: &mut Outgoing,
    status: StatusCode,
    headers: &HeaderMap,
    settings: &Settings,
) -> Result<(), String> {
    let most = settings.max_redirects;
    if outgoing.visited.len() >= most as usize {
        return Err(format!("more than {most} redirects in a row; --max-redirects follows more"));
    }
    let to = target(outgoing, headers)?;
    outgoing.check(&settings.guard, &to).map_err(|why| format!("a redirect to where it must not go: {why}"))?;
    let method = match status.as_u16() {
        303 if outgoing.method != Method::HEAD => Method::GET,
        301 | 302 if outgoing.method == Method::POST => Method::GET,
        _ => outgoing.method.clone(),
    };
    if method != outgoing.method {
        drop_body(outgoing);
        outgoing.done = true;
    }
    if !is_same_origin(&to, &outgoing.url) {
        leave_secrets(outgoing, &to)?;
    }
    let from = (std::mem::replace(&mut outgoing.method, method), std::mem::replace(&mut outgoing.url, to));
    outgoing.visited.push(from);
    let now = |(method, url): &(Method, Url)| *method == outgoing.method && *url == outgoing.url;
    if outgoing.visited.iter().any(now) {
        return Err("the redirects lead in a circle".to_owned());
    }
    Ok(())
}

/// The URL that the answer names.
fn target(outgoing: &Outgoing, headers: &HeaderMap) -> Result<Url, String> {
    let location = headers.get(LOCATION).ok_or("a redirect without a Location")?;
    let location = std::str::from_utf8(location.as_bytes()).ok().and_then(|text| outgoing.url.join(text).ok());
    let mut to = location.ok_or("a redirect whose Location is no URL")?;
    to.set_fragment(None);
    match (outgoing.url.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") => {}
        ("https", "http") => return Err("a redirect from https to http, where everybody could read along".to_owned()),
        (_, other) => {
            let scheme: String = outgoing.values.quote(other.chars(), 20);
            return Err(format!("a redirect to a {scheme}: URL; only http and https are followed"));
        }
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Err("a redirect whose Location holds a user or a password".to_owned());
    }
    // Such addresses give a machine its own credentials.
    if is_link_local(to.host_str().unwrap_or_default()) && to.host() != outgoing.url.host() {
        return Err("a redirect to a link-local address".to_owned());
    }
    Ok(to)
}

fn is_same_origin(one: &Url, other: &Url) -> bool {
    (one.scheme(), one.host(), one.port_or_known_default())
        == (other.scheme(), other.host(), other.port_or_known_default())
}

/// Another method has no body, and nothing that speaks of one.
fn drop_body(outgoing: &mut Outgoing) {
    outgoing.body = None;
    outgoing.secret_body = false;
    for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION] {
        outgoing.headers.remove(name);
    }
    if let Some(name) = outgoing.key_header.take() {
        outgoing.headers.remove(name);
    }
}

/// What is a secret, or looks like one, goes to no other server, and does not come back either.
fn leave_secrets(outgoing: &mut Outgoing, to: &Url) -> Result<(), String> {
    if outgoing.secret_body {
        return Err("a redirect to another server, which must not get the secret in the body".to_owned());
    }
    if outgoing.values.are_in(to.as_str()) {
        return Err("a redirect to another server, which must not get the secret in the Location".to_owned());
    }
    let Outgoing { headers, key_header, .. } = outgoing;
    let goes = |name: &HeaderName| {
        let ours = key_header.as_ref() == Some(name);
        let known = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, HOST].contains(name);
        let secret = headers.get_all(name).iter().any(http::HeaderValue::is_sensitive);
        secret || (!ours && (known || is_credential(name.as_str())))
    };
    let gone: Vec<_> = headers.keys().filter(|name| goes(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
    Ok(())
}
