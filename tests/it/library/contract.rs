//! The lines by which the library is promised, as they stand there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use haul::{Cursor, Failure, Haul, Job, OnConflict, Response, RunEvent, Stop};
use http::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};

use crate::server::{Answer, Asked, Script, Server};

struct Row {
    id: u64,
    city: &'static str,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Geo {
    city: String,
}

#[derive(Clone, Default)]
struct Token(Arc<AtomicU32>);

impl Token {
    fn current(&self) -> String {
        format!("Bearer hush-{}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

// Seen failing with the secret headers left out of the request.
#[tokio::test]
async fn the_promised_lines_work() {
    let server = Server::start(Script::new(|asked: &Asked| {
        assert!(asked.header("authorization").is_some_and(|value| value.starts_with("Bearer hush-")));
        Answer::json(asked.body.clone())
    }));
    let folder = tempfile::tempdir().expect("a folder");
    let url = server.url();
    let rows = [Row { id: 7, city: "Bern" }, Row { id: 9, city: "Rom" }].into_iter();
    let (token, stop, events) = (Token::default(), Stop::new(), Arc::new(AtomicU64::new(0)));
    let asked = token.clone();
    let counter = events.clone();
    let metrics = move |_: &RunEvent| {
        counter.fetch_add(1, Ordering::Relaxed);
    };

    let haul = Haul::open(folder.path().join("backfill.db")).await.expect("a database");
    let jobs = rows.map(|r| Job::post(&url).json(&Geo { city: r.city.to_owned() }).key(r.id));
    haul.import(jobs, OnConflict::Skip).await.expect("an import");
    let summary = haul
        .runner()
        .rate("200/s")
        .concurrency(128)
        .sla(Duration::from_millis(500))
        .secret_header(AUTHORIZATION, move || token.current())
        .process(|response: &Response, job: &Job| -> Result<_, Failure> {
            assert!(job.key == "7" || job.key == "9", "its own key");
            assert_eq!((job.attempt, &*job.request.method), (1, "POST"));
            Ok(response.json::<Geo>()?)
        })
        .stop(stop.clone())
        .on_event(move |e: &RunEvent| metrics(e))
        .run()
        .await
        .expect("an end");
    let page = haul.results::<Geo>(Cursor::default()).await.expect("a page");

    assert_eq!((summary.succeeded, summary.failed, summary.requests, summary.left), (2, 0, 2, 0));
    assert_eq!((summary.within_sla, summary.exit_code()), (2, 0));
    let mut found: Vec<_> = page.results.into_iter().map(|result| (result.key, result.output.city)).collect();
    found.sort();
    assert_eq!(found, [("7".to_owned(), "Bern".to_owned()), ("9".to_owned(), "Rom".to_owned())]);
    assert_eq!(asked.0.load(Ordering::Relaxed), 2, "asked at each send");
    assert!(events.load(Ordering::Relaxed) >= 2, "it began, and committed");
    for entry in std::fs::read_dir(folder.path()).expect("the folder") {
        let file = entry.expect("an entry").path();
        let bytes = std::fs::read(&file).expect("a file");
        assert!(!bytes.windows(5).any(|window| window == b"hush-"), "a secret in {}", file.display());
    }
}

#[tokio::test]
async fn futures_of_the_library_may_be_sent_to_other_threads() {
    fn is_send<T: Send>(it: T) -> T {
        it
    }
    let folder = tempfile::tempdir().expect("a folder");
    let haul = is_send(Haul::open(folder.path().join("a.db"))).await.expect("a database");
    let borrowed = ["http://x/1".to_owned(), "http://x/2".to_owned()];
    let jobs = borrowed.iter().map(Job::get);
    assert_eq!(is_send(haul.import(jobs, OnConflict::Reject)).await.expect("an import").added, 2);
    let stop = Stop::new();
    stop.drain();
    let summary = is_send(haul.runner().stop(stop).run()).await.expect("an end");
    assert_eq!((summary.requests, summary.left, summary.exit_code()), (0, 2, 130), "it was stopped before it began");
    assert_eq!(is_send(haul.results::<Geo>(Cursor::default())).await.expect("a page").results, []);
}
