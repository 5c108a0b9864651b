//! The original task: 100,000 requests, 20 a second, and the sum of squares below 10,000 for every response.
//!
//!     haul demo --serve-only                                # in another terminal: an API that allows 20 a second
//!     cargo run --release --example original_task           # 83 minutes; Ctrl-C or kill it, run it again: it goes on
//!     cargo run --release --example original_task -- 200 http://127.0.0.1:8077

use std::time::Duration;

use haul::{Cursor, Failure, Haul, Job, OnConflict, Response, Stop};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Numbers {
    below: u64,
}

#[derive(Serialize, Deserialize)]
struct Sum {
    sum_of_squares: u64,
}

/// Runs on rayon, on all cores.
fn sum_of_squares(response: &Response, _job: &Job) -> Result<Sum, Failure> {
    let Numbers { below } = response.json()?;
    Ok(Sum { sum_of_squares: (0..below).map(|n| std::hint::black_box(n) * n).sum() })
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it says what it has done")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let count: u64 = args.next().map_or(Ok(100_000), |count| count.parse())?;
    let api = args.next().unwrap_or_else(|| "http://127.0.0.1:8077".to_owned());

    let haul = Haul::open("original_task.db").await?;
    haul.import((1..=count).map(|id| Job::get(format!("{api}/numbers/{id}")).key(id)), OnConflict::Skip).await?;
    let stop = Stop::new();
    let interrupted = stop.clone();
    tokio::spawn(async move { tokio::signal::ctrl_c().await.map(|()| interrupted.drain()) });
    let runner = haul.runner().rate("20/s").sla(Duration::from_millis(500)).process(sum_of_squares).stop(stop);
    let summary = runner.run().await?;
    println!(
        "{} succeeded, {} failed, {} left, {} late",
        summary.succeeded, summary.failed, summary.left, summary.late
    );

    let (mut cursor, mut all, mut total) = (Cursor::default(), 0, 0);
    loop {
        let page = haul.results::<Sum>(cursor).await?;
        if page.results.is_empty() {
            break;
        }
        all += page.results.len();
        total += page.results.iter().map(|result| result.output.sum_of_squares).sum::<u64>();
        cursor = page.next;
    }
    println!("{all} results, {total} in all");
    Ok(())
}
