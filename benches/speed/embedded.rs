//! haul as a program embeds it: the library, default settings but for the concurrency, a processor in Rust.

use std::path::PathBuf;

use haul::{Failure, Haul, Job, OnConflict, Response};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Numbers {
    below: u64,
}

#[derive(Serialize)]
struct Sum {
    sum_of_squares: u64,
}

/// The black box keeps the compiler from finding the closed form.
fn sum_of_squares(response: &Response, _job: &Job) -> Result<Sum, Failure> {
    let Numbers { below } = response.json()?;
    Ok(Sum { sum_of_squares: (0..below).map(|n| std::hint::black_box(n) * n).sum() })
}

/// Imports so many jobs.
pub(crate) async fn import(db: PathBuf, url: String, jobs: usize) {
    let haul = Haul::open(db).await.expect("a database");
    let job = |n| Job::get(format!("{url}/{n}")).key(n);
    let added = haul.import((0..jobs).map(job), OnConflict::Skip).await.expect("jobs");
    assert_eq!(added.added, jobs as u64);
}

/// Drains what was imported; every job must succeed.
pub(crate) async fn drain(db: PathBuf, jobs: usize, at_once: usize) {
    let haul = Haul::open(db).await.expect("a database");
    let run = haul.runner().unlimited().concurrency(at_once).process(sum_of_squares);
    let summary = run.run().await.expect("a run");
    assert_eq!((summary.succeeded, summary.failed, summary.left), (jobs as u64, 0, 0));
}
