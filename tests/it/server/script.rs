//! What a server is told to do.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::model::Model;

/// A request, as a script sees it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Its method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Its body.
    pub(crate) body: Vec<u8>,
    /// The key of its job.
    pub(crate) key: String,
    /// The how many-th arrival of its key, from 1; always 1 without a log.
    pub(crate) nth: u32,
}

impl Asked {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// A complete answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// 200 with this JSON.
    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::status(200) }.header("content-type", "application/json")
    }

    /// This status, and no body.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// With this header too.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Whether it says that the connection ends with it.
    pub(super) fn closes(&self) -> bool {
        self.headers.iter().any(|(name, value)| name == "connection" && value == "close")
    }
}

/// What is done with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// It is answered. `connection: close` among the headers is kept to.
    Answer(Answer),
    /// The answer announces its whole body, then the connection closes after so many bytes of it.
    Partial(Answer, usize),
    /// These bytes are sent as they are, then the connection closes.
    Raw(Vec<u8>),
    /// The whole answer, a byte at a time with this between two, then the connection closes.
    Drip(Answer, Duration),
    /// The connection closes without a byte.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing, until the client goes.
    Hang,
    /// This, but later.
    After(Duration, Box<Reply>),
    /// This, once the gate is open.
    Held(Gate, Box<Reply>),
}

/// Holds replies back until it is opened, once and for all.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A gate that is closed.
    pub(crate) fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everything through that waits or comes.
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    /// Returns when it is open.
    pub(super) async fn opened(&self) {
        // cannot fail: the sender lives as long as `self`
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

type Decide = dyn Fn(&Asked) -> Reply + Send + Sync;

/// How a server behaves.
pub(crate) struct Script {
    pub(super) latency: Duration,
    pub(super) limit: Option<(Model, usize, Duration)>,
    pub(super) goes_first: bool,
    pub(super) log: bool,
    pub(super) decide: Box<Decide>,
}

impl Script {
    /// Decides what is done with each request; `nth` of [`Asked`] tells first tries from later ones.
    pub(crate) fn new<R: Into<Reply>>(decide: impl Fn(&Asked) -> R + Send + Sync + 'static) -> Self {
        let decide = Box::new(move |asked: &Asked| decide(asked).into());
        Self { latency: Duration::ZERO, limit: None, goes_first: false, log: true, decide }
    }

    /// Answers everything with 200 and `{"key": ..}`.
    pub(crate) fn ok() -> Self {
        Self::new(|asked| Answer::json(format!(r#"{{"key":{:?}}}"#, asked.key)))
    }

    /// Every reply takes so long.
    pub(crate) fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// What exceeds so many in any half-open window of this length is answered with 429 at once. Refused ones count.
    pub(crate) fn limit(self, permits: usize, window: Duration) -> Self {
        self.counting(Model::EveryArrival, permits, window)
    }

    /// What exceeds so many per window, as this model counts, is answered with 429 at once.
    pub(crate) fn counting(self, model: Model, permits: usize, window: Duration) -> Self {
        Self { limit: Some((model, permits, window)), ..self }
    }

    /// The server's thread goes before all others of the machine, if it may: its times are those of arriving.
    pub(crate) fn goes_first(self) -> Self {
        Self { goes_first: true, ..self }
    }

    /// Nothing is logged, only counted.
    pub(crate) fn without_log(self) -> Self {
        Self { log: false, ..self }
    }
}
