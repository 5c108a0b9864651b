//! A job as a program says and sees it: built for an import, and shown to a processor.

use std::fmt::Display;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::request::{Request, add_header};

/// A job: a request, and a key that tells it from others.
///
/// ```
/// use haul::Job;
///
/// let job = Job::post("https://api.example.com/v1/geo").json(&["Bern"]).key(17);
/// assert_eq!((&*job.key, &*job.request.method), ("17", "POST"));
/// ```
///
/// What is wrong with it (a body that cannot be JSON, say) is told by the import, which refuses it and goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// `jobs.id`; 0 before it is imported.
    pub id: i64,
    /// The number of this claim, from 1; 0 before the first.
    pub attempt: u32,
    /// Its key; empty before it is imported where none was given: then it will be the hash of the request.
    pub key: String,
    /// What is sent. Secrets stand in it by name.
    pub request: Request,
    wrong: Option<String>,
}

impl Job {
    /// A request with this method.
    #[must_use]
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        let request = Request { method: method.into(), url: url.into(), ..Request::default() };
        Self { id: 0, attempt: 0, key: String::new(), request, wrong: None }
    }

    /// A GET.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A POST.
    #[must_use]
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// A PUT.
    #[must_use]
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// A PATCH.
    #[must_use]
    pub fn patch(url: impl Into<String>) -> Self {
        Self::new("PATCH", url)
    }

    /// A DELETE.
    #[must_use]
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// A job as it was claimed.
    pub(crate) fn claimed(id: i64, attempt: u32, key: String, request: Request) -> Self {
        Self { id, attempt, key, request, wrong: None }
    }

    /// Adds a header. It is stored: a credential goes to the runner, as a secret header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        add_header(&mut self.request.headers, &name.into(), value.into());
        self
    }

    /// The body, as it is.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.request.body = Some(body.into());
        self
    }

    /// A JSON body, with its `content-type` unless there is one.
    #[must_use]
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(body) {
            Ok(json) => self.request.body = Some(json.into()),
            Err(error) => self.is_wrong(format!("the body cannot be written as JSON: {error}")),
        }
        if !self.request.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            add_header(&mut self.request.headers, "content-type", "application/json".to_owned());
        }
        self
    }

    /// What tells it from other jobs: importing a known key again adds nothing. Without one, equal requests are one job.
    #[must_use]
    pub fn key(mut self, key: impl Display) -> Self {
        self.key = key.to_string();
        if self.key.is_empty() {
            self.is_wrong("its key is empty; a key tells jobs apart".to_owned());
        }
        self
    }

    /// What is kept beside the request, for the processor and for exports: a struct or a map.
    #[must_use]
    pub fn row(mut self, row: impl Serialize) -> Self {
        match serde_json::to_value(row) {
            Ok(Value::Object(row)) => self.request.row = row,
            Ok(_) => self.is_wrong("its row has no columns; give a struct or a map".to_owned()),
            Err(error) => self.is_wrong(format!("its row cannot be written as JSON: {error}")),
        }
        self
    }

    /// What was wrong first while it was built.
    pub(crate) fn wrong(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    fn is_wrong(&mut self, why: String) {
        self.wrong.get_or_insert(why);
    }
}
