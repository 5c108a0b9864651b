//! Chunks on their way to the store.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{compile, with_url};
use crate::clock::{Clock, Micros};
use crate::import::{CHUNK_ROWS, Duplicates, ImportError, Input, Options, Progress, Source, Summary, import};
use crate::job::Wish;
use crate::limit::Limit;
use crate::minutes::Minutes;
use crate::request::Request;
use crate::settings::RequestTemplate;
use crate::store::{
    Beat, Chunk, Committed, Counts, Further, Granted, Imported, Lease, Look, NewRun, Part, Parts, Recovered, Reject,
    Rerender, Rerendered, RunOutcome, Spent, Store, StoreError, Want, WriteBack,
};
use crate::template::Template;

/// Keeps what is imported, and knows nothing else.
#[derive(Default)]
struct Kept {
    sources: Mutex<Vec<String>>,
    jobs: Mutex<BTreeMap<String, Request>>,
    chunks: Mutex<Vec<usize>>,
    broken: bool,
}

type Done<T> = Result<T, StoreError>;

impl Store for Kept {
    async fn begin_import(&self, source: &str, _: Option<&str>, _: Micros) -> Done<i64> {
        self.sources.lock().unwrap().push(source.to_owned());
        Ok(1)
    }

    async fn import(&self, _: i64, chunk: &Chunk, _: Micros) -> Done<Imported> {
        if self.broken {
            return Err(StoreError::Database { doing: "import a chunk".to_owned(), source: "the disk is full".into() });
        }
        self.chunks.lock().unwrap().push(chunk.jobs.len() + chunk.rejects.len());
        let mut jobs = self.jobs.lock().unwrap();
        let mut done = Imported { rejected: chunk.rejects.len() as u64, ..Imported::default() };
        for job in &chunk.jobs {
            match jobs.insert(job.key.clone(), job.request.clone()) {
                None => done.added += 1,
                Some(_) => done.known += 1,
            }
        }
        Ok(done)
    }

    async fn import_whole<P: Parts>(&self, parts: &mut P, now_us: Micros) -> Done<bool> {
        loop {
            match parts.next().await {
                Part::Input { source, template } => {
                    self.begin_import(&source, template.as_deref(), now_us).await?;
                }
                Part::Rows(rows) => parts.took(self.import(1, &rows, now_us).await?, Vec::new()),
                Part::End { keep } => return Ok(keep),
            }
        }
    }

    async fn rerender(&self, _: &Rerender<'_>, _: &(dyn Fn() -> bool + Sync), _: Micros) -> Done<Rerendered> {
        unreachable!()
    }

    async fn template(&self) -> Done<Option<String>> {
        unreachable!()
    }

    async fn rejected(&self, _: i64, _: u64, _: u32) -> Done<Vec<Reject>> {
        unreachable!()
    }

    async fn recover(&self, _: &NewRun, _: Micros) -> Done<Recovered> {
        unreachable!()
    }

    async fn claim(&self, _: i64, _: &Want, _: &[Micros], _: Micros) -> Done<Vec<Lease>> {
        unreachable!()
    }

    async fn commit(&self, _: i64, _: &[WriteBack], _: &Minutes, _: Micros) -> Done<Committed> {
        unreachable!()
    }

    async fn exchange(
        &self,
        _: i64,
        _: &[WriteBack],
        _: &Minutes,
        _: &Want,
        _: &[Micros],
        _: Micros,
    ) -> Result<(Committed, Vec<Lease>), StoreError> {
        unreachable!("an import neither commits nor claims")
    }

    async fn spend(&self, _: i64, _: &[Further]) -> Done<Vec<Spent>> {
        unreachable!()
    }

    async fn release(&self, _: i64, _: &[(i64, u32)], _: &[Micros]) -> Done<()> {
        unreachable!()
    }

    async fn accuse(&self, _: i64, _: i64, _: u32) -> Done<bool> {
        unreachable!()
    }

    async fn next_due(&self) -> Done<Option<Micros>> {
        unreachable!()
    }

    async fn next_to_process(&self) -> Done<Option<Micros>> {
        unreachable!()
    }

    async fn pause_limit(&self, _: &Limit, _: Micros) -> Done<()> {
        unreachable!()
    }

    async fn look(&self, _: i64, _: Option<&Beat>) -> Done<Look> {
        unreachable!()
    }

    async fn end(&self, _: i64, _: RunOutcome, _: Micros) -> Done<()> {
        unreachable!()
    }

    async fn ask_to_stop(&self, _: i64) -> Done<bool> {
        unreachable!()
    }

    async fn ask_to_pause(&self, _: i64, _: bool) -> Done<bool> {
        unreachable!()
    }

    async fn keep_limits(&self, _: &[Limit]) -> Done<()> {
        unreachable!()
    }

    async fn limits(&self) -> Done<Vec<Limit>> {
        unreachable!()
    }

    async fn grant(&self, _: Wish, _: &[i64], _: Micros) -> Done<Granted> {
        unreachable!()
    }

    async fn prune(&self, _: &[i64]) -> Done<u64> {
        unreachable!()
    }

    async fn settings(&self) -> Done<Option<String>> {
        unreachable!()
    }

    async fn counts(&self) -> Done<Counts> {
        unreachable!()
    }
}

fn input(reader: impl Read + Send + 'static, duplicates: Duplicates) -> Input {
    let options = Options { duplicates, ..Options::default() };
    Input::open(Source::Reader("rows.csv".to_owned(), Box::new(reader)), options).unwrap()
}

async fn all(store: &Kept, template: Template, input: Input) -> Result<Summary, ImportError> {
    import(store, input, Arc::new(template), &Clock::start(), &|| false, &mut |_| ()).await
}

fn numbers(count: usize) -> Cursor<String> {
    Cursor::new(
        std::iter::once("id".to_owned()).chain((0..count).map(|id| id.to_string())).collect::<Vec<_>>().join("\n"),
    )
}

#[tokio::test]
async fn rows_come_in_chunks_and_again_add_nothing() {
    let store = Kept::default();
    let url = || compile(&with_url("https://x/{{ id }}"));
    let mut seen: Vec<Progress> = Vec::new();
    let rows = 2 * CHUNK_ROWS + 7;
    let first = input(numbers(rows), Duplicates::Refuse);
    let told = &mut |progress| seen.push(progress);
    let summary = import(&store, first, Arc::new(url()), &Clock::start(), &|| false, told).await.unwrap();
    assert_eq!(summary, Summary { rows: rows as u64, added: rows as u64, ..Summary::default() });
    assert_eq!(*store.chunks.lock().unwrap(), [CHUNK_ROWS, CHUNK_ROWS, 7]);
    assert_eq!(*store.sources.lock().unwrap(), ["rows.csv"]);
    assert_eq!(seen.iter().map(|progress| progress.rows).collect::<Vec<_>>(), [5_000, 10_000, 10_007]);

    let again = all(&store, url(), input(numbers(rows), Duplicates::Refuse)).await.unwrap();
    assert_eq!(again, Summary { rows: rows as u64, known: rows as u64, ..Summary::default() });
}

#[tokio::test]
async fn large_rows_make_small_chunks() {
    let store = Kept::default();
    let row = format!("{}\n", "x".repeat(1 << 19));
    let template = compile(&RequestTemplate { body: Some("{{ id }}".to_owned()), ..with_url("https://x/") });
    let rows = Cursor::new(format!("id\n{}", row.repeat(9)));
    all(&store, template, input(rows, Duplicates::Merge)).await.unwrap();
    assert_eq!(*store.chunks.lock().unwrap(), [4, 4, 1]);
}

#[tokio::test]
async fn rejected_rows_stop_nothing_and_the_first_are_shown() {
    let store = Kept::default();
    let rows = Cursor::new("id,b\n1,2\n,2\n3\n,\n,5\n6,7\n");
    let summary = all(&store, compile(&with_url("https://x/{{ id }}")), input(rows, Duplicates::Refuse)).await.unwrap();
    assert_eq!((summary.rows, summary.added, summary.rejected), (6, 2, 4));
    let shown: Vec<_> = summary.examples.iter().map(|reject| (reject.line, reject.text.as_str())).collect();
    assert_eq!(shown, [(3, ",2"), (4, "3"), (5, ",")]);
}

#[tokio::test]
async fn equal_requests_are_one_job_or_refused_or_kept_apart() {
    let get = || compile(&with_url("https://x/{{ id }}"));
    let post = || compile(&RequestTemplate { body: Some("{{ id }}".to_owned()), ..with_url("https://x/") });
    let rows = || Cursor::new("id\n1\n2\n1\n1\n");
    for (template, duplicates, expected) in [
        (get(), Duplicates::Refuse, Summary { added: 2, joined: 2, ..Summary::default() }),
        (get(), Duplicates::Keep, Summary { added: 4, ..Summary::default() }),
        (post(), Duplicates::Merge, Summary { added: 2, joined: 2, ..Summary::default() }),
        (post(), Duplicates::Keep, Summary { added: 4, ..Summary::default() }),
        (post(), Duplicates::Refuse, Summary { added: 2, rejected: 2, refused_duplicates: 2, ..Summary::default() }),
    ] {
        let summary = all(&Kept::default(), template, input(rows(), duplicates)).await.unwrap();
        let examples = summary.examples.clone();
        assert_eq!(summary, Summary { rows: 4, examples, ..expected });
    }
}

#[tokio::test]
async fn a_stop_ends_after_a_chunk() {
    let store = Kept::default();
    let looks = AtomicUsize::new(0);
    let stop = || looks.fetch_add(1, Ordering::Relaxed) > 0 && !store.chunks.lock().unwrap().is_empty();
    let rows = input(numbers(20 * CHUNK_ROWS), Duplicates::Refuse);
    let template = Arc::new(compile(&with_url("https://x/{{ id }}")));
    let (clock, mut silent) = (Clock::start(), |_| ());
    let importing = import(&store, rows, template, &clock, &stop, &mut silent);
    let summary = may_be_spawned(importing).await.unwrap();
    assert_eq!((summary.rows, summary.interrupted), (CHUNK_ROWS as u64, true));
}

fn may_be_spawned<F: Future + Send>(future: F) -> F {
    future
}

/// Fails after what it has.
struct Breaks(Cursor<String>);

impl Read for Breaks {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(io::Error::other("the cable is out")),
            length => Ok(length),
        }
    }
}

#[tokio::test]
async fn an_input_that_breaks_off_keeps_what_was_read() {
    let store = Kept::default();
    let url = || compile(&with_url("https://x/{{ id }}"));
    let broken = Breaks(Cursor::new("id\n1\n2\n".to_owned()));
    let error = all(&store, url(), input(broken, Duplicates::Refuse)).await.unwrap_err();
    assert!(matches!(error, ImportError::Read { .. }), "{error}");
    assert_eq!(store.jobs.lock().unwrap().len(), 2);

    let full = Kept { broken: true, ..Kept::default() };
    let error = all(&full, url(), input(numbers(3), Duplicates::Refuse)).await.unwrap_err();
    assert!(matches!(error, ImportError::Store(StoreError::Database { .. })), "{error}");
}
