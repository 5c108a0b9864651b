//! The transactions of an import.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::columns::{Differences, Requests};
use super::session::Failed;
use super::*;
use crate::request::Request;

/// Of a URL that stands for its row in `rejected.text`.
const TEXT: usize = 1_000;

/// An error of something that cannot be done again.
pub(super) fn never_again(told: Option<StoreError>) -> StoreError {
    told.unwrap_or_else(|| StoreError::Database {
        doing: "write".to_owned(),
        source: "another transaction was in the way".into(),
    })
}

pub(super) async fn begin(tx: &mut Tx, source: &str, template: Option<&str>, now_us: Micros) -> Inner<i64> {
    Ok(scalar!(tx, "begin_import.sql", &*text::kept(source), template, now_us))
}

/// A chunk, as a transaction of its own.
pub(super) async fn alone(tx: &mut Tx, import: i64, rows: &Chunk, now_us: Micros) -> Inner<Imported> {
    execute!(tx, "lock_import.sql");
    let (done, _) = chunk(tx, import, rows, now_us).await?;
    count_new(tx, done.added).await?;
    Ok(done)
}

/// Counts new jobs, and tells the runs of them; the last of a transaction, as others wait for it.
async fn count_new(tx: &mut Tx, added: u64) -> Inner<()> {
    let mut differences = Differences::default();
    differences.add(State::Pending, None, i64::try_from(added)?);
    execute!(tx, "lock_kept.sql");
    differences.write(tx).await?;
    execute!(tx, "tell_of_change.sql");
    Ok(())
}

/// Adds a chunk, but for its counts; the rows that were refused for what is there already come back too.
async fn chunk(tx: &mut Tx, import: i64, chunk: &Chunk, now_us: Micros) -> Inner<(Imported, Vec<Reject>)> {
    let mut done = Imported::default();
    let mut conflicts = Vec::new();
    for jobs in one_request_a_key(&chunk.jobs) {
        add(tx, import, jobs, now_us, &mut done, &mut conflicts).await?;
    }
    let rejects: Vec<_> = chunk.rejects.iter().chain(&conflicts).collect();
    if !rejects.is_empty() {
        execute!(
            tx,
            "reject.sql",
            rejects.iter().map(|reject| reject.line as i64).collect::<Vec<_>>(),
            rejects.iter().map(|reject| text::kept(&reject.reason).into_owned()).collect::<Vec<_>>(),
            rejects.iter().map(|reject| text::kept(&reject.text).into_owned()).collect::<Vec<_>>(),
            import
        );
    }
    let rows = (chunk.jobs.len() + chunk.rejects.len()) as u64;
    done.rejected = rejects.len() as u64;
    done.known = rows - done.added - done.updated - done.rejected;
    let [rows, added, rejected, updated] = [rows, done.added, done.rejected, done.updated].map(|n| n as i64);
    if execute!(tx, "count_import.sql", import, rows, added, rejected, updated) == 0 {
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
    tx: &mut Tx,
    import: i64,
    jobs: &[NewJob],
    now_us: Micros,
    done: &mut Imported,
    conflicts: &mut Vec<Reject>,
) -> Inner<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let last: i64 = scalar!(tx, "last_job.sql");
    let keys: Vec<String> = jobs.iter().map(|job| text::kept(&job.key).into_owned()).collect();
    let lines: Vec<i64> = jobs.iter().map(|job| job.line as i64).collect();
    let added: HashSet<i64> = rows!(tx, "import_jobs.sql", &keys, lines, last, import, now_us)
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, sqlx::Error>>()?;
    let placed = |at: &usize| last + 1 + *at as i64;
    let fresh: Vec<usize> = (0..jobs.len()).filter(|at| added.contains(&placed(at))).collect();
    if !fresh.is_empty() {
        let said = Requests::of(fresh.iter().map(|at| &jobs[*at].request));
        let ids: Vec<i64> = fresh.iter().map(placed).collect();
        let Requests { methods, urls, headers, rows, texts, bytes } = said;
        execute!(tx, "import_requests.sql", ids, methods, urls, headers, rows, texts, bytes);
    }
    done.added += added.len() as u64;
    let others: Vec<usize> = (0..jobs.len()).filter(|at| !added.contains(&placed(at))).collect();
    if !others.is_empty() {
        let known = known(tx, jobs, &keys, &others, last).await?;
        done.updated += replace(tx, &known, conflicts).await?;
    }
    Ok(())
}

/// Rows whose key is known with another request, with the job that has it, and whether its request or only its row is another.
async fn known<'j>(
    tx: &mut Tx,
    jobs: &'j [NewJob],
    keys: &[String],
    others: &[usize],
    last: i64,
) -> Inner<Vec<(&'j NewJob, i64, bool)>> {
    let Requests { methods, urls, headers, rows, texts, bytes } =
        Requests::of(others.iter().map(|at| &jobs[*at].request));
    let places: Vec<i64> = others.iter().map(|at| *at as i64 + 1).collect();
    let keys: Vec<String> = others.iter().map(|at| keys[*at].clone()).collect();
    let rules: Vec<i32> = others.iter().map(|at| rule(jobs[*at].on_conflict)).collect();
    let mut known = Vec::new();
    for row in rows!(tx, "import_conflicts.sql", places, last, keys, methods, urls, headers, rows, texts, bytes, rules)
    {
        let at = usize::try_from(row.try_get::<i64, _>(0)?)?.saturating_sub(1);
        known.push((&jobs[at], row.try_get(1)?, row.try_get(2)?));
    }
    Ok(known)
}

fn rule(on_conflict: OnConflict) -> i32 {
    match on_conflict {
        OnConflict::Reject => 0,
        OnConflict::Skip => 1,
        OnConflict::Update => 2,
    }
}

/// Has the known jobs say what their rows say, where that is wanted and nothing was sent; the others are conflicts.
async fn replace(tx: &mut Tx, known: &[(&NewJob, i64, bool)], conflicts: &mut Vec<Reject>) -> Inner<u64> {
    let wanted: Vec<i64> =
        known.iter().filter(|(job, ..)| job.on_conflict == OnConflict::Update).map(|(_, id, _)| *id).collect();
    let mut unsent: HashSet<i64> = HashSet::new();
    if !wanted.is_empty() {
        for row in rows!(tx, "unsent.sql", wanted) {
            unsent.insert(row.try_get(0)?);
        }
    }
    // A row that says the same as an earlier one of this batch finds its job known.
    let mut requests = BTreeMap::new();
    for (job, id, other) in known {
        if unsent.contains(id) {
            requests.insert(*id, &job.request);
        } else if *other {
            conflicts.push(conflict(job, *id));
        }
    }
    replace_requests(tx, requests.iter().map(|(id, request)| (*id, *request))).await?;
    Ok(requests.len() as u64)
}

pub(super) async fn replace_requests<'r>(
    tx: &mut Tx,
    requests: impl Iterator<Item = (i64, &'r Request)> + Clone,
) -> Inner<()> {
    let ids: Vec<i64> = requests.clone().map(|(id, _)| id).collect();
    if !ids.is_empty() {
        let said = Requests::of(requests.map(|(_, request)| request));
        let Requests { methods, urls, headers, rows, texts, bytes } = said;
        execute!(tx, "replace_requests.sql", ids, methods, urls, headers, rows, texts, bytes);
    }
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

/// Imports all parts or none, in one transaction. What others wait for, the counts, is written at its end.
pub(super) async fn whole(session: &mut Session, parts: &mut impl Parts, now_us: Micros) -> Result<bool, Failed> {
    session.begin(session::BEGIN_LONG).await?;
    let done: Inner<Option<u64>> = async {
        let tx = session.tx()?;
        execute!(tx, "lock_import.sql");
        let (mut import, mut added) = (0, 0);
        loop {
            match parts.next().await {
                Part::Input { source, template } => import = begin(tx, &source, template.as_deref(), now_us).await?,
                Part::Rows(rows) => {
                    let (done, conflicts) = chunk(tx, import, &rows, now_us).await?;
                    added += done.added;
                    parts.took(done, conflicts);
                    pass(Point::PartImported);
                }
                Part::End { keep: true } => break Ok(Some(added)),
                Part::End { keep: false } => break Ok(None),
            }
        }
    }
    .await;
    let counted: Inner<bool> = match done {
        Ok(Some(added)) => async { count_new(session.tx()?, added).await.map(|()| true) }.await,
        Ok(None) => Ok(false),
        Err(error) => Err(error),
    };
    match counted {
        Ok(true) => session.commit(true).await.map(|()| true),
        Ok(false) => {
            // Nothing of it stays, whatever the server says to that.
            let _ = session.roll_back("nothing is kept".into()).await;
            Ok(false)
        }
        Err(error) => Err(session.roll_back(error).await),
    }
}
