//! What is computed after each scenario, from the server's log and the database alone.
//!
//! Bring the database to an end first: these functions open it read-only, and count what is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::server::Arrival;

#[cfg(test)]
mod tests;

/// Most arrivals in any half-open window `[t, t + window)`.
pub(crate) fn max_window(at_ns: impl IntoIterator<Item = u64>, window_ns: u64) -> usize {
    let mut at_ns: Vec<u64> = at_ns.into_iter().collect();
    at_ns.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (last, at) in at_ns.iter().enumerate() {
        while at_ns[first] + window_ns <= *at {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

/// How often each key arrived.
pub(crate) fn arrivals_per_key(arrivals: &[Arrival]) -> BTreeMap<String, u64> {
    let mut times = BTreeMap::new();
    for arrival in arrivals {
        *times.entry(arrival.key.clone()).or_default() += 1;
    }
    times
}

/// A finished database, opened so that nothing in it can change.
pub(crate) struct Finished(SqliteConnection);

impl Finished {
    /// Opens it. Its write-ahead log counts.
    pub(crate) async fn open(database: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(database).read_only(true);
        Self(SqliteConnection::connect_with(&options).await.expect("a database that opens"))
    }

    /// Jobs without an end: those of the `imported` that are not there, and those with work left.
    pub(crate) async fn lost(&mut self, imported: u64) -> u64 {
        imported.saturating_sub(self.count("SELECT count(*) FROM jobs WHERE state NOT IN ('pending', 'fetched')").await)
    }

    /// Jobs with more than one result, and jobs whose result does not fit their state: none where they succeeded, or one where
    /// they did not.
    pub(crate) async fn dup(&mut self) -> u64 {
        let several = "SELECT count(*) FROM (SELECT 1 FROM results GROUP BY job_id HAVING count(*) > 1)";
        let without = "SELECT count(*) FROM jobs WHERE state = 'succeeded' AND id NOT IN (SELECT job_id FROM results)";
        let beside = "SELECT count(DISTINCT job_id) FROM results
                      WHERE job_id NOT IN (SELECT id FROM jobs WHERE state = 'succeeded')";
        self.count(several).await + self.count(without).await + self.count(beside).await
    }

    /// Requests that reached the server though nothing in the database asked for them: per job its arrivals less one, less the
    /// retries that are logged. Arrivals of a key that is no job count in full.
    ///
    /// An attempt is logged as sent where it measured anything of a request: one that a crash cut short measured nothing.
    pub(crate) async fn resent(&mut self, arrivals: &[Arrival]) -> u64 {
        let sent: BTreeMap<String, i64> = sqlx::query_as(
            "SELECT key, max(1, (SELECT count(*) FROM attempts AS a WHERE a.job_id = jobs.id
             AND coalesce(rate_wait_us, ttfb_us, fetch_us, status_code) IS NOT NULL)) FROM jobs",
        )
        .fetch_all(&mut self.0)
        .await
        .expect("the attempts")
        .into_iter()
        .collect();
        let logged = |key: &str| sent.get(key).map_or(0, |sent| u64::try_from(*sent).expect("a count"));
        arrivals_per_key(arrivals).iter().map(|(key, times)| times.saturating_sub(logged(key))).sum()
    }

    /// Jobs that are leased: what a crash may cost.
    pub(crate) async fn leased(&mut self) -> u64 {
        self.count("SELECT count(*) FROM jobs WHERE run_id IS NOT NULL").await
    }

    /// Jobs in this state.
    pub(crate) async fn in_state(&mut self, state: &str) -> u64 {
        let n: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state = ?1")
            .bind(state)
            .fetch_one(&mut self.0)
            .await
            .expect("a count");
        u64::try_from(n).expect("a count")
    }

    async fn count(&mut self, sql: &'static str) -> u64 {
        let n: i64 = sqlx::query_scalar(sql).fetch_one(&mut self.0).await.expect("a count");
        u64::try_from(n).expect("a count")
    }
}

/// Jobs that were leased when a run was killed. Looks at a copy, so that the file stays as the kill left it, its
/// write-ahead log included. Nobody may have the database open.
pub(crate) async fn leased_at_kill(database: &Path) -> u64 {
    leases_at_kill(database).await.len() as u64
}

/// Key and claim of every job that was leased when a run was killed, as [`leased_at_kill`] counts them.
pub(crate) async fn leases_at_kill(database: &Path) -> Vec<(String, i64)> {
    let (_aside, copy) = copied(database);
    let mut killed = Finished::open(&copy).await;
    let leases = sqlx::query_as("SELECT key, attempts FROM jobs WHERE run_id IS NOT NULL ORDER BY id");
    leases.fetch_all(&mut killed.0).await.expect("the leases")
}

/// A copy of the database and its write-ahead log, in a folder that goes with its guard.
pub(crate) fn copied(database: &Path) -> (tempfile::TempDir, PathBuf) {
    let aside = tempfile::tempdir().expect("a folder");
    let copy = aside.path().join("killed.db");
    std::fs::copy(database, &copy).expect("a copy");
    let wal = |database: &Path| {
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        name
    };
    if Path::new(&wal(database)).exists() {
        std::fs::copy(wal(database), wal(&copy)).expect("a copy");
    }
    (aside, copy)
}
