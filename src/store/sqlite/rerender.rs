//! The transaction in which jobs come to say what other templates make of their rows.
//!
//! A key that one job gives up another may take, so the new keys are first written with a mark before them, and the marks
//! are taken away when all are written. Memory holds some jobs at a time, however many there are.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row, query};

use super::import::replace_requests;
use super::{IMMEDIATE, Inner, pack};
use crate::clock::Micros;
use crate::request::Request;
use crate::store::{Change, Rerender, Rerendered, Stored};

/// Stands before a new key until no old one is left: a character that Unicode leaves to a program's own use.
const MARK: &str = "\u{fdd2}";
/// What all marked keys are before.
const AFTER_MARK: &str = "\u{fdd3}";

/// Bytes of jobs that are read at once; the job that goes beyond them is the last.
const BYTES: i64 = 4 << 20;

pub(super) async fn all(
    connection: &mut SqliteConnection,
    change: &Rerender<'_>,
    stop: &(dyn Fn() -> bool + Sync),
    now_us: Micros,
) -> Inner<Rerendered> {
    let mut tx = connection.begin_with(IMMEDIATE).await?;
    let mut done = Rerendered::default();
    let untouched = requests(&mut tx, change, stop, &mut done).await?;
    if done.keep() {
        take_marks_away(&mut tx, stop, &mut done).await?;
    }
    if !done.keep() {
        tx.rollback().await?;
        return Ok(done);
    }
    let replace = query(include_str!("replace_template.sql")).bind(change.new).bind(change.old);
    replace.bind(pack::array(&untouched)).execute(&mut *tx).await?;
    query(include_str!("remember_template.sql")).bind(change.new).bind(now_us).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(done)
}

/// Changes all requests, and all keys but for their marks. Gives the imports that have unfinished jobs as they were.
async fn requests(
    tx: &mut SqliteConnection,
    change: &Rerender<'_>,
    stop: &(dyn Fn() -> bool + Sync),
    done: &mut Rerendered,
) -> Inner<BTreeSet<i64>> {
    let mut untouched = BTreeSet::new();
    if !marked(tx, MARK).await?.is_empty() {
        return Err("a job has a key that begins with U+FDD2, which haul keeps for itself".into());
    }
    let mut after = 0;
    while let Some(last) = span(tx, after).await? {
        if stop() {
            done.interrupted = true;
            break;
        }
        let (mut keys, mut requests) = (Vec::new(), Vec::new());
        let read = query(include_str!("rerender_jobs.sql")).bind(after).bind(last);
        for row in read.fetch_all(&mut *tx).await? {
            let stored = stored(&row)?;
            let judged = (change.judge)(&stored);
            done.count(&stored, &judged);
            let unfinished: bool = row.try_get(4)?;
            if unfinished && (!stored.unsent || judged == Change::Stay) {
                untouched.insert(row.try_get(2)?);
            }
            if let Change::To { key, request } = judged {
                keys.extend(key.map(|key| (stored.job, format!("{MARK}{key}"))));
                requests.extend(request.map(|request| (stored.job, request)));
            }
        }
        rekey(tx, keys, done).await?;
        if !requests.is_empty() {
            let requests: Vec<_> = requests.iter().map(|(job, request)| (*job, request)).collect();
            replace_requests(tx, &requests).await?;
        }
        after = last;
    }
    Ok(untouched)
}

/// The last of the jobs that are read next; `None` where there is none.
async fn span(tx: &mut SqliteConnection, after: i64) -> Inner<Option<i64>> {
    let mut last = None;
    let mut bytes = 0;
    for row in query(include_str!("rerender_sizes.sql")).bind(after).fetch_all(tx).await? {
        last = Some(row.try_get(0)?);
        bytes += row.try_get::<i64, _>(1)?;
        if bytes >= BYTES {
            break;
        }
    }
    Ok(last)
}

fn stored(row: &SqliteRow) -> Inner<Stored> {
    let body: Option<Vec<u8>> = row.try_get(9)?;
    let request = Request {
        method: row.try_get(5)?,
        url: row.try_get(6)?,
        headers: serde_json::from_str(row.try_get(7)?)?,
        row: serde_json::from_str(row.try_get(8)?)?,
        body: body.map(Bytes::from),
    };
    Ok(Stored { job: row.try_get(0)?, key: row.try_get(1)?, unsent: row.try_get(3)?, request })
}

/// Gives jobs these keys, but for those that another job has.
async fn rekey(tx: &mut SqliteConnection, keys: Vec<(i64, String)>, done: &mut Rerendered) -> Inner<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut holders: HashMap<usize, i64> = HashMap::new();
    for row in query(include_str!("key_holders.sql")).bind(pack::array(&keys)).fetch_all(&mut *tx).await? {
        holders.insert(usize::try_from(row.try_get::<i64, _>(0)?)?, row.try_get(1)?);
    }
    let mut first: HashMap<&str, i64> = HashMap::new();
    let mut free = Vec::new();
    for (at, (job, key)) in keys.iter().enumerate() {
        let holder = holders.get(&at).copied().or_else(|| first.get(key.as_str()).copied());
        match holder {
            Some(other) => done.clash(*job, other, key.strip_prefix(MARK).unwrap_or(key)),
            None => {
                first.insert(key, *job);
                free.push((*job, key));
            }
        }
    }
    query(include_str!("rekey.sql")).bind(pack::array(&free)).execute(tx).await?;
    Ok(())
}

/// Some of the marked keys, in their order.
async fn marked(tx: &mut SqliteConnection, after: &str) -> Inner<Vec<(i64, String)>> {
    let read = query(include_str!("keys_between.sql")).bind(after).bind(AFTER_MARK);
    read.fetch_all(tx).await?.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

async fn take_marks_away(
    tx: &mut SqliteConnection,
    stop: &(dyn Fn() -> bool + Sync),
    done: &mut Rerendered,
) -> Inner<()> {
    let mut after = MARK.to_owned();
    loop {
        if stop() {
            done.interrupted = true;
            return Ok(());
        }
        let keys = marked(tx, &after).await?;
        let Some((_, last)) = keys.last() else { return Ok(()) };
        after.clone_from(last);
        let keys = keys.into_iter().map(|(job, key)| (job, key[MARK.len()..].to_owned())).collect();
        rekey(tx, keys, done).await?;
    }
}
