//! The library, as a program uses it.

mod contract;
mod errors;
mod examples;
mod imports;
mod reprocess;
mod results;
mod runs;

use std::path::Path;

use haul::{Haul, Job};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{Connection, FromRow};
use tempfile::TempDir;

use crate::server::Server;

/// A new database in a folder of its own.
async fn new() -> (TempDir, Haul) {
    let folder = tempfile::tempdir().expect("a folder");
    let haul = Haul::open(folder.path().join("jobs.db")).await.expect("a database");
    (folder, haul)
}

/// A job for each of these keys.
fn jobs<'a>(server: &Server, keys: &'a [&'a str]) -> impl Iterator<Item = Job> + 'a {
    let url = server.url();
    keys.iter().map(move |key| Job::get(format!("{url}/{key}")).key(key))
}

/// Rows of the database in the folder.
async fn rows<T>(folder: &Path, sql: &'static str) -> Vec<T>
where
    T: for<'row> FromRow<'row, SqliteRow> + Send + Unpin,
{
    let options = SqliteConnectOptions::new().filename(folder.join("jobs.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.expect("a database");
    let rows = sqlx::query_as(sql).fetch_all(&mut connection).await.expect("rows");
    connection.close().await.expect("closed");
    rows
}

/// Waits for a condition without holding up the runtime.
async fn until(what: &'static str, condition: impl FnMut() -> bool + Send + 'static) {
    tokio::task::spawn_blocking(move || crate::resume::bench::until(what, condition)).await.expect(what);
}
