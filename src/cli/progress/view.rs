//! What is shown of a run: the same words on a terminal, in plain lines and as an object.

use std::time::Duration;

use haul::clock::{Micros, SECOND_US, span};
use haul::job::State;
use haul::progress::{Tally, count};
use haul::report::{iso_8601, second};
use serde_json::{Value, json};

use super::line::{Line, Tone};
use super::{Shown, bar, waiting, whole_seconds};
use crate::cli::status::{digits, time};
use crate::cli::terminal::{cut, visible};

/// Types of failures that are named.
const TYPES: usize = 3;

/// Room without end.
const WIDE: usize = 10_000;

impl Shown {
    /// For a terminal of so many columns.
    pub(super) fn lines(&mut self, now_us: Micros, unicode: bool, room: usize) -> Vec<Line> {
        if self.total == 0 {
            return Vec::new(); // the run has not begun
        }
        let total = self.total.max(self.done());
        let mut lines = vec![bar::with_bar(self.done(), total, self.head(now_us, room), unicode, room)];
        let details = self.details(room);
        let why = self.why(now_us).map(|why| {
            let mut line = Line::default();
            line.add(Tone::Waits, why);
            line
        });
        lines.extend([details].into_iter().chain(why).filter(|line| line.width() > 0));
        lines
    }

    /// The same in one line.
    pub(super) fn line(&mut self, now_us: Micros) -> String {
        let mut line = self.head(now_us, WIDE);
        let details = self.details(WIDE);
        if details.width() > 0 {
            line.add(Tone::Plain, details.painted(false));
        }
        if let Some(why) = self.why(now_us) {
            line.add(Tone::Waits, why);
        }
        line.painted(false)
    }

    /// How far it is, how fast it goes, and how long it will.
    fn head(&mut self, now_us: Micros, room: usize) -> Line {
        let done = self.done();
        self.pace.is_at(now_us, self.tally.done());
        let percent = if self.total == 0 { 0 } else { (100.0 * done as f64 / self.total as f64) as u64 };
        let mut line = Line::default();
        line.add(Tone::Plain, format!("{}/{} ({percent} %)", digits(done), digits(self.total)));
        let per_s = format!("{:.1}/s", self.pace.per_s());
        let names: Vec<_> = self.limits.iter().map(|limit| visible(&limit.name)).collect();
        let of = if names.is_empty() { per_s.clone() } else { format!("{per_s} of {}", names.join(" + ")) };
        // The time left is said first where there is no room for both.
        let eta = self.left().map(|left| format!("ETA {left}"));
        let reserved = eta.as_ref().map_or(0, |eta| eta.chars().count() + 2);
        line.add_fitting(Tone::Plain, &[of, per_s], room.saturating_sub(reserved));
        if let Some(eta) = eta.filter(|_| self.why_nothing_is_sent(now_us).is_none()) {
            line.add_fitting(Tone::Plain, &[eta], room);
        }
        line
    }

    fn left(&self) -> Option<String> {
        let left = self.pace.left(self.total.saturating_sub(self.done()), &self.limits)?;
        let us = Micros::try_from(left.as_micros()).unwrap_or(Micros::MAX);
        Some(time(us.saturating_add(SECOND_US - 1)))
    }

    /// What flies, what failed, and how long it takes.
    fn details(&self, room: usize) -> Line {
        let mut line = Line::default();
        let tally = &self.tally;
        if self.in_flight > 0 {
            line.add_fitting(Tone::Plain, &[format!("{} in flight", digits(self.in_flight as u64))], room);
        }
        let (failed, types) = self.failures();
        if failed > 0 {
            let short = format!("{} failed", digits(failed));
            let named: Vec<_> = types.iter().map(|(n, kind)| format!("{} x {kind}", digits(*n))).collect();
            line.add_fitting(Tone::Bad, &[format!("{short}: {}", named.join(", ")), short], room);
        }
        for (n, word) in [(self.retrying(), "to retry"), (tally.refused, "refused")] {
            if n > 0 {
                line.add_fitting(Tone::Waits, &[format!("{} {word}", digits(n))], room);
            }
        }
        if let Some((p50, p99)) = self.latencies_ms() {
            line.add_fitting(Tone::Dim, &[format!("p50 {} p99 {}", ms(p50), ms(p99))], room);
        }
        let judged = tally.within_sla + tally.late;
        if judged > 0 {
            let percent = 100.0 * tally.within_sla as f64 / judged as f64;
            let late = if tally.late > 0 { format!(" ({} late)", digits(tally.late)) } else { String::new() };
            let tone = if tally.late > 0 { Tone::Waits } else { Tone::Dim };
            line.add_fitting(tone, &[format!("SLA {percent:.1} %{late}"), format!("SLA {percent:.0} %")], room);
        }
        line
    }

    /// All that failed for good, and the most frequent types.
    fn failures(&self) -> (u64, Vec<(u64, String)>) {
        let failed = count(&self.counts, Some(State::Failed), None).max(self.tally.failed - self.tally.spared);
        let kinds = self.counts.iter().filter(|((state, _), n)| *state == State::Failed && **n > 0);
        let mut kinds: Vec<_> = kinds
            .filter_map(|((_, kind), n)| kind.as_ref().map(|kind| (*n, cut(&visible(kind.as_str()), 24))))
            .collect();
        kinds.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        kinds.truncate(TYPES);
        (failed, kinds)
    }

    /// Jobs that failed and are tried again, those included that are at it.
    fn retrying(&self) -> u64 {
        let fresh = |state| self.counts.get(&(state, None)).copied().unwrap_or(0);
        let failed = |state| count(&self.counts, Some(state), None) - fresh(state);
        failed(State::Pending) + failed(State::Fetched)
    }

    fn latencies_ms(&self) -> Option<(f64, f64)> {
        let of = |share| self.tally.latencies.percentile_us("latency", share).map(|us| us as f64 / 1000.0);
        of(0.5).zip(of(0.99))
    }

    /// Why it is slower than it could be; first of all why nothing is sent.
    fn why(&self, now_us: Micros) -> Option<String> {
        self.why_nothing_is_sent(now_us).or_else(|| self.short.clone())
    }

    fn why_nothing_is_sent(&self, now_us: Micros) -> Option<String> {
        if let Some((word, since_us)) = self.stalled {
            return Some(format!("{word} {}", whole_seconds(now_us - since_us)));
        }
        if self.held {
            return Some("paused from another terminal, `haul unpause` goes on".to_owned());
        }
        if self.paused_until_us > now_us {
            let wait = Duration::from_secs(span(self.paused_until_us - now_us).as_secs() + 1);
            let (wait, until) = (humantime::format_duration(wait), second(self.paused_until_us));
            return Some(format!("{} {wait} (until {until})", self.paused_by));
        }
        let waits = self.waits.as_ref().filter(|wait| wait.until_us > now_us);
        waits.map(|wait| waiting::text(wait, now_us))
    }

    /// For programs.
    pub(super) fn json(&mut self, now_us: Micros) -> Value {
        let head = self.head(now_us, WIDE);
        drop(head); // it has looked at the pace
        let rate_per_s = (self.pace.per_s() * 10.0).round() / 10.0;
        let Tally { succeeded, failed, retried, refused, within_sla, late, .. } = self.tally;
        let (waits_for, until_us) = waiting::member(self.paused_until_us, self.waits.as_ref(), now_us).unzip();
        let (p50_ms, p99_ms) = self.latencies_ms().unzip();
        let eta_s = self.pace.left(self.total.saturating_sub(self.done()), &self.limits).map(|left| left.as_secs());
        let kinds = self.failures().1.into_iter().map(|(n, kind)| (kind, Value::from(n)));
        json!({
            "done": self.done(), "total": self.total, "succeeded": succeeded, "failed": failed, "retried": retried,
            "refused": refused, "rate_per_s": rate_per_s, "limits": self.limits.iter().map(|limit| &limit.name).collect::<Vec<_>>(),
            "eta_s": eta_s, "in_flight": self.in_flight, "retrying": self.retrying(),
            "failures": kinds.collect::<serde_json::Map<_, _>>(), "p50_ms": p50_ms, "p99_ms": p99_ms,
            "within_sla": within_sla, "late": late, "paused": self.held, "waits_for": waits_for,
            "waits_until": until_us.map(iso_8601), "why": self.why(now_us),
        })
    }
}

fn ms(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

#[cfg(test)]
mod tests;
