//! A backfill whose jobs are still being found while the first are sent.
//!
//!     haul demo --serve-only                    # in another terminal: an API
//!     cargo run --example backfill              # kill it, run it again: it goes on
//!     cargo run --example backfill -- http://127.0.0.1:8077

use std::time::Duration;

use haul::{Cursor, Error, Failure, Haul, Job, OnConflict, Response, RunEvent};
use serde::Serialize;
use tokio::sync::mpsc;

/// A record as the source has it, page by page: a table of another database, say.
#[derive(Serialize)]
struct Record {
    id: u64,
    customer: String,
}

fn page(number: u64) -> impl Iterator<Item = Record> {
    (number * 10 + 1..=number * 10 + 10).map(|id| Record { id, customer: format!("customer {}", id % 3) })
}

/// Finds jobs, and tells each time that there are some. What is known already is not added again.
async fn find(haul: Haul, api: String, tell: mpsc::Sender<()>) -> Result<(), Error> {
    for number in 0..3 {
        let jobs =
            page(number).map(|record| Job::get(format!("{api}/numbers/{}", record.id)).key(record.id).row(&record));
        haul.import(jobs, OnConflict::Skip).await?;
        // Where it is full, a run is about to begin anyway; one that goes sees the new jobs by itself.
        let _ = tell.try_send(());
        tokio::time::sleep(Duration::from_millis(100)).await; // the source is slow
    }
    Ok(())
}

/// Puts the answer and the record together; a body of another shape fails its job, and stays stored.
fn join(response: &Response, job: &Job) -> Result<serde_json::Value, Failure> {
    let answer: serde_json::Value = response.json()?;
    Ok(serde_json::json!({"customer": job.request.row["customer"], "below": answer["below"]}))
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it says what it has done")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let api = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8077".to_owned());
    let haul = Haul::open("backfill.db").await?;
    let (tell, mut told) = mpsc::channel(1);
    let finder = tokio::spawn(find(haul.clone(), api, tell));
    while told.recv().await.is_some() {
        let tally = |event: &RunEvent<'_>| {
            if let RunEvent::Committed(tally) = event {
                println!("{} done, {} requests", tally.done(), tally.requests);
            }
        };
        let summary = haul.runner().rate("20/s").concurrency(8).process(join).on_event(tally).run().await?;
        println!(
            "{:?}: {} succeeded, {} failed, {} left",
            summary.outcome, summary.succeeded, summary.failed, summary.left
        );
    }
    finder.await??;
    let first = haul.results::<serde_json::Value>(Cursor::default()).await?;
    for result in first.results.iter().take(3) {
        println!("{}: {}", result.key, result.output);
    }
    println!("{} results", first.results.len());
    Ok(())
}
