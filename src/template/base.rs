//! What relative URLs are joined to.

use std::borrow::Cow;

use super::{TemplateError, address, wrong};

/// A URL without query, and without a slash at its end.
#[derive(Debug)]
pub(super) struct Base {
    text: String,
    /// Where its path begins.
    path: usize,
}

impl Base {
    /// Reads it as it is given by flag.
    pub(super) fn parse(given: &str) -> Result<Self, TemplateError> {
        // What follows may be a credential, and is not shown.
        let plain = given.split(['?', '#']).next().unwrap_or_default();
        let wrong = |why: &str| wrong("--base-url", &address::masked(plain), why);
        if given.contains("{{") || given.contains("{%") {
            return Err(wrong("it is no template; a template is written in --url, or in a header"));
        }
        if plain.len() < given.len() {
            return Err(wrong(
                "a base has neither query nor fragment; a credential is given as -H \"Name: {{ env('NAME') }}\"",
            ));
        }
        if super::has_marker(given) {
            return Err(wrong("it holds a character between U+FDD0 and U+FDD2, which haul keeps for itself"));
        }
        let mut text = address::check(given).map_err(|why| wrong(&format!("it {why}")))?;
        text.truncate(text.trim_end_matches('/').len());
        let authority = text.find("://").map_or(0, |at| at + 3);
        let path = text[authority..].find('/').map_or(text.len(), |at| authority + at);
        Ok(Self { text, path })
    }

    /// A relative URL joined to it; any other is given back as it is. What the end of the base and the beginning of the URL
    /// have in common is written once: `https://h/v1` and `/v1/x` are `https://h/v1/x`.
    pub(super) fn join<'a>(&self, url: &'a str) -> Cow<'a, str> {
        if !is_relative(url) {
            return Cow::Borrowed(url);
        }
        if url.starts_with(['?', '#']) {
            return Cow::Owned(format!("{}{url}", self.text));
        }
        let path = url.strip_prefix('/').unwrap_or(url);
        let end = path.find(['?', '#']).unwrap_or(path.len());
        let base: Vec<&str> = self.text[self.path..].split('/').skip(1).collect();
        let first: Vec<&str> = path[..end].split('/').collect();
        let most = base.len().min(first.len());
        let common = (1..=most).rev().find(|&n| base[base.len() - n..] == first[..n]).unwrap_or(0);
        let written: usize = first[..common].iter().map(|segment| segment.len() + 1).sum();
        let rest = &path[written.min(end)..];
        // Only where the base ends exactly as the URL does, nothing follows but its query.
        let slash = if common == first.len() { "" } else { "/" };
        Cow::Owned(format!("{}{slash}{rest}", self.text))
    }
}

/// `//host` is not: it would be another host. Neither is `word:..`, which is another scheme or a host with its port.
fn is_relative(url: &str) -> bool {
    let first = url.split(['/', '?', '#']).next().unwrap_or_default();
    !url.is_empty() && !url.starts_with("//") && !first.contains([':', '\\'])
}
