//! The numbers as aligned text.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use haul::clock::{Micros, span};
use haul::report::{LimitNow, Overview, Phase, Rate, Run, iso_8601, second};

use crate::cli::next;
use crate::cli::terminal::{cut, visible};

/// Width of what stands in front of each line.
const LABEL: usize = 10;

/// Draws everything there is to say, and the next command to type.
pub(crate) fn overview(out: &mut impl Write, o: &Overview, db: &Path) -> io::Result<()> {
    jobs(out, o)?;
    run(out, o)?;
    rates(out, o)?;
    failures(out, o)?;
    latency(out, o)?;
    if let Some(next) = next(o) {
        writeln!(out, "\nnext: {}", next::command(next, db))?;
    }
    Ok(())
}

fn line(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{label:<LABEL$}{text}")
}

fn jobs(out: &mut impl Write, o: &Overview) -> io::Result<()> {
    let j = &o.jobs;
    let counted = [
        (j.succeeded, "succeeded"),
        (j.failed, "failed"),
        (j.fetched, "fetched"),
        (j.pending, "pending"),
        (j.cancelled, "cancelled"),
    ];
    let states: Vec<_> =
        counted.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{} {word}", digits(*n))).collect();
    // What is cancelled is neither done nor left.
    let (done, total) = (j.succeeded + j.failed, j.total - j.cancelled);
    let percent = if total == 0 { 0.0 } else { 100.0 * done as f64 / total as f64 };
    line(out, "jobs", &format!("{} of {} done ({percent:.1} %)", digits(done), digits(total)))?;
    if !states.is_empty() {
        line(out, "", &states.join(", "))?;
    }
    if j.in_flight > 0 || j.retrying > 0 {
        let held =
            if o.run.as_ref().is_some_and(|run| run.phase == Phase::Running) { "in flight" } else { "interrupted" };
        line(out, "", &format!("{} {held}, {} waiting for another try", digits(j.in_flight), digits(j.retrying)))?;
    }
    if j.rejected > 0 {
        line(out, "", &format!("{} rows of the input made no job (table rejected)", digits(j.rejected)))?;
    }
    Ok(())
}

fn run(out: &mut impl Write, o: &Overview) -> io::Result<()> {
    let Some(run) = &o.run else { return line(out, "run", "none yet") };
    line(out, "run", &ran(run, o.at))?;
    for limit in &o.limits {
        line(out, "limit", &limited(limit, o.at))?;
    }
    Ok(())
}

fn ran(run: &Run, now: Micros) -> String {
    let place = format!("pid {} on {}", run.pid, visible(&run.host));
    let ago = |at: Micros| format!("{} ago", time(now - at));
    match run.phase {
        Phase::Running => {
            let asked = match run.asked_to.as_deref() {
                Some("pause") => ", paused: it sends nothing",
                Some("stop") => ", stopping",
                _ => "",
            };
            format!("running for {}, {place}{asked}", time(now - run.started_at))
        }
        Phase::Gone => format!("gone without a word: {place}, last heard of {}", ago(run.heartbeat_at)),
        Phase::Ended => {
            let outcome = run.outcome.as_deref().unwrap_or("ended");
            let ended = run.ended_at.unwrap_or(run.heartbeat_at);
            format!("{outcome} {} after {}, {place}", ago(ended), time(ended - run.started_at))
        }
    }
}

fn limited(limit: &LimitNow, now: Micros) -> String {
    let mut text = visible(&limit.name);
    if let Some(until) = limit.paused_until {
        text += &format!(", paused for {} more (until {})", time(until - now), iso_8601(until));
    }
    if let Some(left) = limit.left {
        text += &format!(", {} of {} permits left", digits(left), digits(limit.permits.unsigned_abs()));
    }
    if let Some(next) = limit.next_at {
        text += &format!(": the next at {} (in {})", second(next), time(next - now));
    }
    text
}

fn rates(out: &mut impl Write, o: &Overview) -> io::Result<()> {
    for (label, rate) in [("requests", o.requests), ("results", o.results)] {
        if rate.n > 0 {
            line(out, label, &rated(rate))?;
        }
    }
    if let Some(eta) = o.eta_s {
        line(out, "time left", &format!("about {}", time((eta * 1e6) as Micros)))?;
    }
    Ok(())
}

fn rated(rate: Rate) -> String {
    let mut text = format!("{} in this run", digits(rate.n));
    if let Some(now) = rate.now_per_s {
        text += &format!(", {now:.1}/s over the last minute");
    }
    if let Some(mean) = rate.mean_per_s {
        text += &format!(", {mean:.1}/s on average");
    }
    text
}

fn failures(out: &mut impl Write, o: &Overview) -> io::Result<()> {
    if o.failures.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{:<16} {:>9} {:>9}  example", "failures", "failed", "retrying")?;
    for kind in &o.failures {
        let message = cut(&visible(kind.example_message.as_deref().unwrap_or("")), 60);
        let key = cut(&visible(kind.example_key.as_deref().unwrap_or("-")), 24);
        let error_type = cut(&visible(&kind.error_type), 16);
        writeln!(out, "{error_type:<16} {:>9} {:>9}  {key}: {message}", digits(kind.failed), digits(kind.retrying))?;
    }
    Ok(())
}

fn latency(out: &mut impl Write, o: &Overview) -> io::Result<()> {
    if !o.latency.is_empty() {
        writeln!(out, "\n{:<16} {:>9} {:>9} {:>9} {:>9} {:>9}", "milliseconds", "n", "p50", "p90", "p99", "max")?;
    }
    for s in &o.latency {
        let stage = visible(&s.stage);
        let [p50, p90, p99, max] = [s.p50_ms, s.p90_ms, s.p99_ms, s.max_ms].map(ms);
        writeln!(out, "{stage:<16} {:>9} {p50:>9} {p90:>9} {p99:>9} {max:>9}", digits(s.n))?;
    }
    for (sla, of) in [(o.run_sla, "this run"), (o.sla.filter(|_| o.run_sla != o.sla), "all runs")] {
        if let Some(sla) = sla {
            let deadline = sla.sla_ms.map_or_else(String::new, |sla_ms| format!(" of {} ms", ms(sla_ms)));
            writeln!(out, "\nSLA{deadline}: {:.2} % in time in {of}, {} late", sla.percent, digits(sla.late))?;
        }
    }
    Ok(())
}

/// The next command to type: what stands in the way first.
fn next(o: &Overview) -> Option<&'static str> {
    let running = o.run.as_ref().is_some_and(|run| run.phase == Phase::Running);
    match () {
        () if o.jobs.total == 0 && !running => Some("run INPUT --url TEMPLATE"),
        () if running && o.run.as_ref().is_some_and(|run| run.asked_to.as_deref() == Some("pause")) => Some("unpause"),
        () if running && !o.failures.is_empty() => Some(next::FAILURES),
        () if running => None,
        // Only the demo itself serves the API that its jobs are for.
        () if o.jobs.left() > 0 && o.source.as_deref() == Some(next::DEMO) => Some("demo"),
        () if o.jobs.left() > 0 => Some("resume"),
        () if o.jobs.failed > 0 => Some(next::FAILURES),
        () => Some(next::RESULTS),
    }
}

/// `1,234,567`.
pub(crate) fn digits(n: u64) -> String {
    let plain = n.to_string();
    let mut out = String::with_capacity(plain.len() + plain.len() / 3);
    for (i, c) in plain.chars().enumerate() {
        if i > 0 && (plain.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Two digits that say something are enough.
fn ms(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.2}")
    } else if ms < 100.0 {
        format!("{ms:.1}")
    } else {
        format!("{ms:.0}")
    }
}

/// Rounded as people do: seconds below an hour, minutes below a day, then hours.
pub(crate) fn time(us: Micros) -> String {
    let seconds = span(us).as_secs();
    let grain = match seconds {
        0..3_600 => 1,
        3_600..86_400 => 60,
        _ => 3_600,
    };
    let rounded = seconds - seconds % grain;
    humantime::format_duration(Duration::from_secs(rounded)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(["0", "999", "1,000", "1,234,567"].map(str::to_owned), [0, 999, 1_000, 1_234_567].map(digits));
        assert_eq!([0.123, 85.23, 1234.5].map(ms), ["0.12", "85.2", "1234"].map(str::to_owned));
        assert_eq!([3_725_900_000, 183_725_900_000].map(time), ["1h 2m", "2days 3h"]);
    }
}
