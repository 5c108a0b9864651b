//! The numbers at the top.

use super::failures::attempts;
use super::latency::overall;
use super::part::Tile;
use super::runs::many;
use super::throughput::count;
use crate::clock::Micros;
use crate::report::history::History;
use crate::report::plot::{Frame, Mark, Plot, px};
use crate::report::words::{digits, percent, plain, short, took};

pub(super) fn tiles(history: &History, sla_us: Option<Micros>) -> Vec<Tile> {
    let jobs = &history.overview.jobs;
    let (done, total) = (jobs.succeeded + jobs.failed, jobs.total - jobs.cancelled);
    let requests: u64 = history.slots.iter().map(|slot| count(slot, "rate_wait")).sum();
    let alive: Micros = history.slots.iter().map(|slot| slot.alive_us).sum();
    let latency = overall(&history.slots, "latency");
    let told = |share| latency.percentile_us(share).map_or_else(|| "-".to_owned(), took);
    let limits: Vec<_> = history.overview.limits.iter().map(|limit| plain(&limit.name, 40)).collect();
    let limits = if limits.is_empty() { "no limit".to_owned() } else { format!("limit {}", limits.join(" + ")) };
    let rate = format!("{} a second", short(requests as f64 * 1e6 / alive.max(1) as f64));
    let failed = attempts(history);
    let tile = |label, value, notes: &[String], bad| Tile { label, value, notes: notes.to_vec(), bad };
    let mut tiles = vec![
        tile("done", percent(done, total), &[format!("{} of {} jobs", digits(done), digits(total))], false),
        tile("requests", digits(requests), &[rate, limits], false),
        tile("latency, p50", told(0.5), &[format!("p99 {}", told(0.99)), format!("max {}", told(1.0))], false),
    ];
    if latency.n > 0 && (sla_us.is_some() || latency.late > 0) {
        let notes = [
            sla_us.map_or_else(String::new, |sla_us| format!("SLA {}", took(sla_us))),
            format!("{} late", digits(latency.late)),
        ];
        tiles.push(tile(
            "in time",
            percent(latency.n - latency.late, latency.n),
            &notes,
            latency.late * 100 > latency.n,
        ));
    }
    tiles.push(tile(
        "failed",
        digits(jobs.failed),
        &["jobs given up".to_owned(), many(failed, "failed attempt")],
        jobs.failed > 0,
    ));
    let again = format!("{} sent again, at most", digits(history.interrupted.sent_again()));
    tiles.push(tile("crashes", digits(history.crashes), &[many(history.all_runs, "run"), again], false));
    tiles
}

/// A bar of all jobs by state.
pub(super) fn bar(history: &History) -> Plot {
    let jobs = &history.overview.jobs;
    let states = [
        ("h3", jobs.succeeded, "succeeded"),
        ("h4", jobs.failed, "failed"),
        ("h1", jobs.fetched, "fetched"),
        ("hx", jobs.pending, "pending"),
        ("hc", jobs.cancelled, "cancelled"),
    ];
    let frame = Frame { width: 960.0, height: 14.0, left: 0.0, right: 960.0, top: 0.0, bottom: 14.0 };
    let (mut x, mut marks) = (0.0, Vec::new());
    for (class, n, name) in states.into_iter().filter(|(_, n, _)| *n > 0) {
        let width = 960.0 * n as f64 / jobs.total.max(1) as f64;
        let tip = Some(format!("{} {name}", digits(n)));
        marks.push(Mark::Rect {
            class: class.to_owned(),
            x: px(x),
            y: px(0.0),
            w: px(width.max(1.0)),
            h: px(14.0),
            tip,
        });
        x += width;
    }
    let told: Vec<_> = states.iter().map(|(_, n, name)| format!("{} {name}", digits(*n))).collect();
    frame.plot("Jobs by state", told.join(", "), marks)
}

/// What the colours of that bar mean.
pub(super) fn states(history: &History) -> Vec<super::part::Key> {
    let jobs = &history.overview.jobs;
    [
        ("h3", jobs.succeeded, "succeeded"),
        ("h4", jobs.failed, "failed"),
        ("h1", jobs.fetched, "fetched"),
        ("hx", jobs.pending, "pending"),
        ("hc", jobs.cancelled, "cancelled"),
    ]
    .into_iter()
    .filter(|(_, n, _)| *n > 0)
    .map(|(class, n, name)| super::part::Key::new(class, format!("{} {name}", digits(n))))
    .collect()
}
