//! The report as one HTML page that stands alone: no script, nothing from the network, drawings within it.

mod failures;
mod latency;
mod part;
mod runs;
mod settings;
mod sla;
mod throughput;
mod tiles;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use sha2::{Digest, Sha256};

use super::Phase;
use super::history::History;
use super::words::{moment, plain};
use crate::clock::{Micros, micros};

const TEMPLATE: &str = include_str!("page/page.html");

const STYLE: &str = include_str!("page/page.css");

/// The page could not be made: a bug of ours.
#[derive(Debug, thiserror::Error)]
#[error("failed to make the page; this is a bug of haul")]
pub struct PageError(#[from] minijinja::Error);

/// The page of a database of this name.
///
/// # Errors
/// None is known.
pub fn render(history: &History, name: &str) -> Result<String, PageError> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html); // an empty one escapes nothing by itself
    environment.add_template("page.html", TEMPLATE)?;
    let sla_us = sla_us(history);
    let mut parts = vec![throughput::part(history), latency::part(history, sla_us)];
    parts.extend(sla::part(history, sla_us));
    parts.extend([failures::part(history), runs::crashes(history), runs::part(history)]);
    let plots = parts.iter_mut().flat_map(|part| &mut part.figures);
    let plots = plots.flat_map(|figure| figure.wide.iter_mut().chain([&mut figure.narrow]));
    plots.zip(1..).for_each(|(plot, n)| plot.id = n);
    let page = context! {
        name => plain(name, 80),
        made_at => moment(history.overview.at),
        version => env!("CARGO_PKG_VERSION"),
        standing => standing(history),
        style => Value::from_safe_string(STYLE.to_owned()),
        style_hash => style_hash(),
        tiles => Value::from(Serde(tiles::tiles(history, sla_us))),
        bar => Value::from(Serde(tiles::bar(history))),
        states => Value::from(Serde(tiles::states(history))),
        parts => Value::from(Serde(parts)),
    };
    Ok(environment.get_template("page.html")?.render(page)?)
}

/// What the policy of the page lets through: this style and nothing else.
fn style_hash() -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(STYLE)))
}

/// The deadline of the last run.
fn sla_us(history: &History) -> Option<Micros> {
    let last = history.runs.last()?;
    last.settings.as_ref()?.sla.map(micros)
}

/// Where it stands, in a sentence.
fn standing(history: &History) -> String {
    let Some(run) = &history.overview.run else { return "No run yet.".to_owned() };
    let at = moment(run.ended_at.unwrap_or(run.heartbeat_at));
    match (run.phase, run.outcome.as_deref()) {
        (Phase::Running, _) => format!("A run is going, since {} UTC.", moment(run.started_at)),
        (Phase::Gone, _) => format!("The last run has not been heard of since {at} UTC."),
        (Phase::Ended, Some("drained")) if history.overview.jobs.left() == 0 => {
            format!("Drained; the last run ended {at} UTC.")
        }
        (Phase::Ended, outcome) => format!("The last run ended {at} UTC: {}.", plain(outcome.unwrap_or("ended"), 40)),
    }
}
