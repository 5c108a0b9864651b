//! The transactions of an import.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row, query, query_scalar};

use super::{IMMEDIATE, Inner, SqliteStore, failed, pack, version_of_data};
use crate::clock::Micros;
use crate::fail_point::{Point, pass};
use crate::store::{Chunk, Imported, NewJob, OnConflict, Part, Parts, Reject, StoreError};

/// Longer than SQLite waits between two looks at a lock.
const OTHERS: Duration = Duration::from_millis(120);

/// Of a URL that stands for its row in `rejected.text`.
const TEXT: usize = 1_000;

pub(super) async fn begin(
    tx: &mut SqliteConnection,
    source: &str,
    template: Option<&str>,
    now_us: Micros,
) -> Inner<i64> {
    let begin = query(include_str!("begin_import.sql")).bind(source).bind(template).bind(now_us);
    Ok(begin.execute(tx).await?.last_insert_rowid())
}

/// Adds a chunk; the rows that were refused for what is there already come back too.
pub(super) async fn chunk(
    tx: &mut SqliteConnection,
    import: i64,
    chunk: &Chunk,
    now_us: Micros,
) -> Inner<(Imported, Vec<Reject>)> {
    let mut done = Imported::default();
    let mut conflicts = Vec::new();
    for jobs in one_request_a_key(&chunk.jobs) {
        add(tx, import, jobs, now_us, &mut done, &mut conflicts).await?;
    }
    let rejects: Vec<_> =
        chunk.rejects.iter().chain(&conflicts).map(|reject| (reject.line, &reject.reason, &reject.text)).collect();
    if !rejects.is_empty() {
        query(include_str!("reject.sql")).bind(pack::array(&rejects)).bind(import).execute(&mut *tx).await?;
    }
    let rows = chunk.jobs.len() + chunk.rejects.len();
    done.rejected = rejects.len() as u64;
    done.known = rows as u64 - done.added - done.updated - done.rejected;
    let count = query(include_str!("count_import.sql")).bind(import).bind(rows as i64).bind(done.added as i64);
    let counted = count.bind(done.rejected as i64).bind(done.updated as i64).execute(tx).await?;
    if counted.rows_affected() == 0 {
        return Err("there is no such import".into());
    }
    Ok((done, conflicts))
}

/// Cuts a chunk where a key comes again with another request that is to replace the first: one statement does not see
/// what it changed itself.
fn one_request_a_key(jobs: &[NewJob]) -> Vec<&[NewJob]> {
    if jobs.iter().all(|job| job.on_conflict != OnConflict::Update) {
        return vec![jobs];
    }
    let mut pieces = Vec::new();
    let mut seen = HashMap::new();
    let mut from = 0;
    for (at, job) in jobs.iter().enumerate() {
        if seen.insert(&job.key, &job.request).is_some_and(|request| *request != job.request) {
            pieces.push(&jobs[from..at]);
            from = at;
            seen.clear();
            seen.insert(&job.key, &job.request);
        }
    }
    pieces.push(&jobs[from..]);
    pieces
}

async fn add(
    tx: &mut SqliteConnection,
    import: i64,
    jobs: &[NewJob],
    now_us: Micros,
    done: &mut Imported,
    conflicts: &mut Vec<Reject>,
) -> Inner<()> {
    let packed = pack::new_jobs(jobs);
    let last: i64 = query_scalar(include_str!("last_job.sql")).fetch_one(&mut *tx).await?;
    let import_jobs = query(include_str!("import_jobs.sql")).bind(&packed.rows).bind(last).bind(import).bind(now_us);
    let added = import_jobs.execute(&mut *tx).await?.rows_affected();
    if added > 0 {
        let requests = query(include_str!("import_requests.sql")).bind(&packed.rows).bind(last).bind(&packed.blob);
        requests.execute(&mut *tx).await?;
        query(include_str!("write_counts.sql")).bind(pack::added(added)).execute(&mut *tx).await?;
    }
    done.added += added;
    if added < jobs.len() as u64 {
        let found = query(include_str!("import_conflicts.sql")).bind(&packed.rows).bind(last).bind(&packed.blob);
        let mut known = Vec::new();
        for row in found.fetch_all(&mut *tx).await? {
            let (index, id, other): (i64, i64, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            known.push((&jobs[usize::try_from(index)?], id, other));
        }
        done.updated += replace(tx, &known, conflicts).await?;
    }
    Ok(())
}

/// Has the known jobs say what their rows say, where that is wanted and nothing was sent; the others are conflicts.
async fn replace(tx: &mut SqliteConnection, known: &[(&NewJob, i64, bool)], conflicts: &mut Vec<Reject>) -> Inner<u64> {
    let wanted: Vec<i64> =
        known.iter().filter(|(job, ..)| job.on_conflict == OnConflict::Update).map(|(_, id, _)| *id).collect();
    let mut unsent: Vec<i64> = Vec::new();
    if !wanted.is_empty() {
        unsent = query_scalar(include_str!("unsent.sql")).bind(pack::array(&wanted)).fetch_all(&mut *tx).await?;
        unsent.sort_unstable();
    }
    // A row that says the same as an earlier one of this batch finds its job known.
    let mut requests = BTreeMap::new();
    for (job, id, other) in known {
        if unsent.binary_search(id).is_ok() {
            requests.insert(*id, &job.request);
        } else if *other {
            conflicts.push(conflict(job, *id));
        }
    }
    if !requests.is_empty() {
        replace_requests(tx, &requests.iter().map(|(id, request)| (*id, *request)).collect::<Vec<_>>()).await?;
    }
    Ok(requests.len() as u64)
}

pub(super) async fn replace_requests(
    tx: &mut SqliteConnection,
    requests: &[(i64, &crate::request::Request)],
) -> Inner<()> {
    let packed = pack::requests(requests);
    query(include_str!("replace_requests.sql")).bind(packed.rows).bind(packed.blob).execute(tx).await?;
    Ok(())
}

fn conflict(job: &NewJob, known: i64) -> Reject {
    let key = &job.key;
    let reason = match job.on_conflict {
        OnConflict::Update => {
            format!("key `{key}` is known with another request (job {known}), which was sent: it stays as it is")
        }
        _ => format!("key `{key}` is known with another request (job {known}); give this row another key"),
    };
    Reject { line: job.line, reason, text: job.request.url.chars().take(TEXT).collect() }
}

/// After a chunk, where another process has written since the last one: it may write again. SQLite knows no queue: who waits
/// asks every 100 ms, and an import that goes on at once would keep a run out for as long as it lasts.
pub(super) async fn let_others_in(store: &SqliteStore) -> Result<(), StoreError> {
    let version = version_of_data(&mut store.writer().await.connection).await;
    let version = version.map_err(failed("look whether others write"))?;
    if store.others.swap(version, Ordering::Relaxed) != version {
        tokio::time::sleep(OTHERS).await;
    }
    Ok(())
}

/// Imports all parts or none. The transaction is never left open: an error drops it, which rolls it back.
pub(super) async fn whole(connection: &mut SqliteConnection, parts: &mut impl Parts, now_us: Micros) -> Inner<bool> {
    let mut tx = connection.begin_with(IMMEDIATE).await?;
    let mut import = 0;
    loop {
        match parts.next().await {
            Part::Input { source, template } => import = begin(&mut tx, &source, template.as_deref(), now_us).await?,
            Part::Rows(rows) => {
                let (done, conflicts) = chunk(&mut tx, import, &rows, now_us).await?;
                parts.took(done, conflicts);
                pass(Point::PartImported);
            }
            Part::End { keep: true } => {
                tx.commit().await?;
                return Ok(true);
            }
            Part::End { keep: false } => {
                tx.rollback().await?;
                return Ok(false);
            }
        }
    }
}
