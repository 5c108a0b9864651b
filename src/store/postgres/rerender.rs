//! The transaction in which jobs come to say what other templates make of their rows.
//!
//! A key that one job gives up another may take, so the new keys are first written with a mark before them, and the marks
//! are taken away when all are written. Memory holds some jobs at a time, however many there are.

use std::collections::{BTreeSet, HashMap};

use super::claim::object;
use super::import::replace_requests;
use super::session::Failed;
use super::*;
use crate::request::Request;

/// Stands before a new key until no old one is left: a character that Unicode leaves to a program's own use.
const MARK: &str = "\u{fdd2}";
/// What all marked keys are before.
const AFTER_MARK: &str = "\u{fdd3}";

/// Bytes of jobs that are read at once; the job that goes beyond them is the last.
const BYTES: i64 = 4 << 20;

pub(super) async fn all(
    session: &mut Session,
    change: &Rerender<'_>,
    stop: &(dyn Fn() -> bool + Sync),
    now_us: Micros,
) -> Result<Rerendered, Failed> {
    session.begin(session::BEGIN_LONG).await?;
    let mut done = Rerendered::default();
    let work: Inner<()> = async {
        let tx = session.tx()?;
        // A mark would stand in the way of a key that is imported meanwhile.
        execute!(tx, "lock_import.sql");
        let untouched = requests(tx, change, stop, &mut done).await?;
        if done.keep() {
            take_marks_away(tx, stop, &mut done).await?;
        }
        if done.keep() {
            let untouched: Vec<i64> = untouched.into_iter().collect();
            execute!(tx, "replace_template.sql", change.new, change.old, untouched);
            execute!(tx, "remember_template.sql", change.new, now_us);
        }
        Ok(())
    }
    .await;
    match work {
        Ok(()) if done.keep() => session.commit(true).await.map(|()| done),
        Ok(()) => {
            // Nothing of it stays, whatever the server says to that.
            let _ = session.roll_back("nothing is kept".into()).await;
            Ok(done)
        }
        Err(error) => Err(session.roll_back(error).await),
    }
}

/// Changes all requests, and all keys but for their marks. Gives the imports that have unfinished jobs as they were.
async fn requests(
    tx: &mut Tx,
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
        for row in rows!(tx, "rerender_jobs.sql", after, last) {
            let stored = stored(&row)?;
            let judged = (change.judge)(&stored);
            done.count(&stored, &judged);
            let unfinished: bool = row.try_get(4)?;
            if unfinished && (!stored.unsent || judged == Change::Stay) {
                untouched.insert(row.try_get(2)?);
            }
            if let Change::To { key, request } = judged {
                keys.extend(key.map(|key| (stored.job, format!("{MARK}{}", text::kept(&key)))));
                requests.extend(request.map(|request| (stored.job, request)));
            }
        }
        rekey(tx, keys, done).await?;
        replace_requests(tx, requests.iter().map(|(job, request)| (*job, request))).await?;
        after = last;
    }
    Ok(untouched)
}

/// The last of the jobs that are read next; `None` where there is none.
async fn span(tx: &mut Tx, after: i64) -> Inner<Option<i64>> {
    let mut last = None;
    let mut bytes = 0;
    for row in rows!(tx, "rerender_sizes.sql", after) {
        last = Some(row.try_get(0)?);
        bytes += row.try_get::<i64, _>(1)?;
        if bytes >= BYTES {
            break;
        }
    }
    Ok(last)
}

fn stored(row: &PgRow) -> Inner<Stored> {
    let request = Request {
        method: row.try_get(5)?,
        url: text::read(row.try_get(6)?),
        headers: object(row.try_get(7)?)?,
        row: object(row.try_get(8)?)?,
        body: text::joined(row.try_get(9)?, row.try_get(10)?),
    };
    Ok(Stored { job: row.try_get(0)?, key: text::read(row.try_get(1)?), unsent: row.try_get(3)?, request })
}

/// Gives jobs these keys, but for those that another job has.
async fn rekey(tx: &mut Tx, keys: Vec<(i64, String)>, done: &mut Rerendered) -> Inner<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut holders: HashMap<usize, i64> = HashMap::new();
    let wanted: Vec<String> = keys.iter().map(|(_, key)| key.clone()).collect();
    for row in rows!(tx, "key_holders.sql", wanted) {
        holders.insert(usize::try_from(row.try_get::<i64, _>(0)?)?, row.try_get(1)?);
    }
    let mut first: HashMap<&str, i64> = HashMap::new();
    let (mut jobs, mut free) = (Vec::new(), Vec::new());
    for (at, (job, key)) in keys.iter().enumerate() {
        let holder = holders.get(&at).copied().or_else(|| first.get(key.as_str()).copied());
        match holder {
            Some(other) => done.clash(*job, other, &text::read(key.strip_prefix(MARK).unwrap_or(key).to_owned())),
            None => {
                first.insert(key, *job);
                jobs.push(*job);
                free.push(key.clone());
            }
        }
    }
    execute!(tx, "rekey.sql", jobs, free);
    Ok(())
}

/// Some of the marked keys, in their order.
async fn marked(tx: &mut Tx, after: &str) -> Inner<Vec<(i64, String)>> {
    rows!(tx, "keys_between.sql", after, AFTER_MARK).iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

async fn take_marks_away(tx: &mut Tx, stop: &(dyn Fn() -> bool + Sync), done: &mut Rerendered) -> Inner<()> {
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
