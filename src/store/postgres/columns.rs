//! Values -> arrays, one a column, as a statement takes a batch.

use std::collections::BTreeMap;

use super::*;
use crate::request::Request;

/// JSON of what cannot fail to be JSON.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    // cannot fail: maps of strings and values, and a String takes all that is written to it
    serde_json::to_string(value).unwrap_or_default()
}

pub(super) fn leases(leases: impl Iterator<Item = (i64, u32)>) -> (Vec<i64>, Vec<i32>) {
    leases.map(|(job, attempt)| (job, attempt.cast_signed())).unzip()
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Moves jobs on.
pub(super) async fn write_jobs(tx: &mut Tx, batch: &[&WriteBack], run: i64, now_us: Micros) -> Inner<()> {
    let of = |number: fn(&Standing) -> u32| -> Vec<i32> {
        batch.iter().map(|write| number(&write.next.standing).cast_signed()).collect()
    };
    let error = |write: &&WriteBack| {
        write.next.error.as_ref().map(|(t, m)| (t.as_str().to_owned(), text::kept(m).into_owned()))
    };
    let (types, messages): (Vec<_>, Vec<_>) = batch.iter().map(|write| error(write).unzip()).unzip();
    let states: Vec<&str> = batch.iter().map(|write| write.next.standing.state.as_str()).collect();
    let was: Vec<Option<&str>> = batch.iter().map(|write| write.next.standing.was.map(State::as_str)).collect();
    let finished: Vec<Option<i64>> =
        batch.iter().map(|write| write.next.standing.state.is_final().then_some(now_us)).collect();
    execute!(
        tx,
        "write_jobs.sql",
        batch.iter().map(|write| write.job).collect::<Vec<_>>(),
        states,
        of(|standing| standing.failures),
        of(|standing| standing.generation),
        of(|standing| standing.crashes),
        batch.iter().map(|write| write.next.due_at_us).collect::<Vec<_>>(),
        types,
        messages,
        finished,
        batch.iter().map(|write| write.next.keep_lease.then_some(run)).collect::<Vec<_>>(),
        was
    );
    Ok(())
}

/// Writes what the attempts measured.
pub(super) async fn write_attempts(tx: &mut Tx, batch: &[&WriteBack], run: i64) -> Inner<()> {
    let of = |span: fn(&Measured) -> Option<i64>| -> Vec<Option<i64>> {
        batch.iter().map(|write| span(&write.measured)).collect()
    };
    let fault =
        |write: &&WriteBack| write.next.fault().map(|(t, m)| (t.as_str().to_owned(), text::kept(m).into_owned()));
    let (types, messages): (Vec<_>, Vec<_>) = batch.iter().map(|write| fault(write).unzip()).unzip();
    let (jobs, attempts) = leases(batch.iter().map(|write| (write.job, write.attempt)));
    execute!(
        tx,
        "write_attempts.sql",
        jobs,
        attempts,
        of(|m| m.started_at_us),
        of(|m| m.rate_wait_us),
        of(|m| m.ttfb_us),
        of(|m| m.fetch_us),
        of(|m| m.queue_us),
        of(|m| m.process_us),
        of(|m| m.latency_us),
        batch.iter().map(|write| write.measured.within_sla.map(i32::from)).collect::<Vec<_>>(),
        batch.iter().map(|write| write.measured.status_code.map(i32::from)).collect::<Vec<_>>(),
        of(|m| m.bytes.map(signed)),
        types,
        messages,
        run
    );
    Ok(())
}

/// Stores the responses of a batch.
pub(super) async fn write_responses(tx: &mut Tx, batch: &[&WriteBack]) -> Inner<()> {
    let some: Vec<_> = batch.iter().filter_map(|write| Some((*write, write.response.as_deref()?))).collect();
    if some.is_empty() {
        return Ok(());
    }
    let body = |(write, response): &(&'_ WriteBack, &'_ Response)| -> (Option<String>, Option<Vec<u8>>) {
        match &write.packed {
            Some(packed) => (None, Some(packed.to_vec())),
            None => {
                let (text, bytes) = text::body(Some(&response.body));
                (text.map(str::to_owned), bytes.map(<[u8]>::to_vec))
            }
        }
    };
    let (texts, bytes): (Vec<_>, Vec<_>) = some.iter().map(body).unzip();
    let (jobs, attempts) = leases(some.iter().map(|(write, _)| (write.job, write.attempt)));
    execute!(
        tx,
        "write_responses.sql",
        jobs,
        attempts,
        some.iter().map(|(_, response)| i32::from(response.status_code)).collect::<Vec<_>>(),
        some.iter().map(|(_, response)| json(&response.headers)).collect::<Vec<_>>(),
        texts,
        bytes,
        some.iter().map(|(_, response)| response.fetched_at_us).collect::<Vec<_>>(),
        some.iter().map(|(write, _)| write.packed.as_ref().map(|_| packing::ZSTD)).collect::<Vec<_>>()
    );
    Ok(())
}

/// Stores the results of a batch, all at one time.
pub(super) async fn write_results(tx: &mut Tx, batch: &[&WriteBack], finished_at_us: Micros) -> Inner<()> {
    let some: Vec<_> = batch.iter().filter_map(|write| Some((write, write.output.as_ref()?))).collect();
    let (jobs, attempts) = leases(some.iter().map(|(write, _)| (write.job, write.attempt)));
    execute!(
        tx,
        "write_results.sql",
        jobs,
        attempts,
        some.iter().map(|(_, output)| &*output.json).collect::<Vec<&str>>(),
        some.iter().map(|(_, output)| text::kept(&output.processor).into_owned()).collect::<Vec<_>>(),
        finished_at_us
    );
    Ok(())
}

/// Adds to the histograms.
pub(super) async fn write_minutes(tx: &mut Tx, minutes: &Minutes) -> Inner<()> {
    if minutes.0.is_empty() {
        return Ok(());
    }
    let of = |number: fn(&crate::minutes::Bucket) -> u64| -> Vec<i64> {
        minutes.0.values().map(|bucket| signed(number(bucket))).collect()
    };
    execute!(
        tx,
        "write_minutes.sql",
        minutes.0.keys().map(|(minute, ..)| *minute).collect::<Vec<_>>(),
        minutes.0.keys().map(|(_, stage, _)| *stage).collect::<Vec<&str>>(),
        minutes.0.keys().map(|(.., bound)| *bound).collect::<Vec<_>>(),
        of(|bucket| bucket.n),
        of(|bucket| bucket.late),
        of(|bucket| bucket.failed)
    );
    Ok(())
}

/// What a batch does to the kept counts: state, type of failure or nothing, difference.
#[derive(Debug, Default)]
pub(super) struct Differences(BTreeMap<(&'static str, String), i64>);

impl Differences {
    /// So many jobs are new there.
    pub(super) fn add(&mut self, state: State, error_type: Option<&str>, n: i64) {
        *self.0.entry((state.as_str(), error_type.unwrap_or_default().to_owned())).or_default() += n;
    }

    /// One job goes from where it stood to where this write has it go.
    pub(super) fn moved(&mut self, from: (State, &str), to: &Next) {
        self.add(from.0, Some(from.1), -1);
        self.add(to.standing.state, to.error.as_ref().map(|(error_type, _)| error_type.as_str()), 1);
    }

    /// Moves the kept counts along; under the lock of what is kept.
    pub(super) async fn write(self, tx: &mut Tx) -> Inner<()> {
        let some: Vec<_> = self.0.into_iter().filter(|(_, n)| *n != 0).collect();
        if !some.is_empty() {
            execute!(
                tx,
                "write_counts.sql",
                some.iter().map(|((state, _), _)| *state).collect::<Vec<&str>>(),
                some.iter().map(|((_, error_type), _)| error_type.clone()).collect::<Vec<_>>(),
                some.iter().map(|(_, n)| *n).collect::<Vec<_>>()
            );
        }
        Ok(())
    }
}

/// What requests say, as columns.
pub(super) struct Requests {
    pub(super) methods: Vec<String>,
    pub(super) urls: Vec<String>,
    pub(super) headers: Vec<String>,
    pub(super) rows: Vec<String>,
    pub(super) texts: Vec<Option<String>>,
    pub(super) bytes: Vec<Option<Vec<u8>>>,
}

impl Requests {
    pub(super) fn of<'r>(requests: impl Iterator<Item = &'r Request> + Clone) -> Self {
        let body = |request: &'r Request| {
            let (text, bytes) = text::body(request.body.as_deref());
            (text.map(str::to_owned), bytes.map(<[u8]>::to_vec))
        };
        let (texts, bytes) = requests.clone().map(body).unzip();
        Self {
            methods: requests.clone().map(|request| request.method.clone()).collect(),
            urls: requests.clone().map(|request| text::kept(&request.url).into_owned()).collect(),
            headers: requests.clone().map(|request| json(&request.headers)).collect(),
            rows: requests.map(|request| json(&request.row)).collect(),
            texts,
            bytes,
        }
    }
}
