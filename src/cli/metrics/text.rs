//! The numbers in the text format of Prometheus. Names are OpenTelemetry's where it has one.

use std::fmt::{Display, Write as _};

use haul::clock::SECOND_US;
use haul::minutes::{Minutes, STAGES};
use haul::progress::Tally;
use haul::report::{Overview, Phase};

/// The bounds that OpenTelemetry gives `http.client.request.duration`, in microseconds.
const REQUEST: [i64; 14] = [
    5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000, 2_500_000, 5_000_000,
    7_500_000, 10_000_000,
];

/// Those of a stage: processing may take a hundredth of what a request does, waiting for a limit a hundred times as long.
const STAGE: [i64; 12] =
    [100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 10_000_000, 60_000_000];

/// A label and its value.
type Labels<'a> = &'a [(&'a str, &'a str)];

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn histogram(&mut self, name: &str, labels: Labels<'_>, bounds: &[i64], tally: &Tally, stage: &str) {
        let Minutes(all) = &tally.latencies;
        let of = || all.iter().filter(|((_, s, _), _)| *s == stage).map(|((_, _, bound), bucket)| (*bound, bucket.n));
        for bound in bounds {
            let n: u64 = of().filter(|(up_to, _)| up_to <= bound).map(|(_, n)| n).sum();
            let le = seconds(*bound).to_string();
            self.sample(&format!("{name}_bucket"), &[labels, &[("le", &le)]].concat(), n);
        }
        let n: u64 = of().map(|(_, n)| n).sum();
        self.sample(&format!("{name}_bucket"), &[labels, &[("le", "+Inf")]].concat(), n);
        self.sample(&format!("{name}_sum"), labels, seconds(tally.spent_us.get(stage).copied().unwrap_or(0)));
        self.sample(&format!("{name}_count"), labels, n);
    }
}

fn seconds(us: i64) -> f64 {
    us as f64 / SECOND_US as f64
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// All of it.
pub(super) fn page(seen: &Overview, tally: &Tally) -> String {
    let mut page = Page(String::new());
    table(&mut page, seen);
    run(&mut page, seen);
    limits(&mut page, seen);
    counters(&mut page, tally);
    page.family(
        "http_client_request_duration_seconds",
        "histogram",
        "From sending a request to the last byte of its answer, in this run; a time up to 1/8 below a bound may count above it.",
    );
    page.histogram("http_client_request_duration_seconds", &[], &REQUEST, tally, "fetch");
    page.family(
        "haul_stage_duration_seconds",
        "histogram",
        "Time of an attempt by stage, in this run; latency is from sending to the result.",
    );
    for stage in STAGES {
        page.histogram("haul_stage_duration_seconds", &[("stage", stage)], &STAGE, tally, stage);
    }
    page.0
}

/// What stands in the table, whichever run brought it there.
fn table(page: &mut Page, seen: &Overview) {
    let jobs = &seen.jobs;
    page.family("haul_jobs", "gauge", "Jobs of the table by state.");
    for (state, n) in [
        ("pending", jobs.pending),
        ("fetched", jobs.fetched),
        ("succeeded", jobs.succeeded),
        ("failed", jobs.failed),
        ("cancelled", jobs.cancelled),
    ] {
        page.sample("haul_jobs", &[("state", state)], n);
    }
    page.one("haul_jobs_in_flight", "gauge", "Jobs that the run works on now.", jobs.in_flight);
    page.one("haul_jobs_retrying", "gauge", "Jobs that failed and wait for another try.", jobs.retrying);
    page.one("haul_rejected_rows", "gauge", "Rows of the input that made no job.", jobs.rejected);
    page.family(
        "haul_jobs_with_error",
        "gauge",
        "Jobs by the type of their last failure, given up or to be tried again; the ten most frequent.",
    );
    for kind in &seen.failures {
        for (standing, n) in [("failed", kind.failed), ("retrying", kind.retrying)] {
            page.sample("haul_jobs_with_error", &[("error_type", &kind.error_type), ("standing", standing)], n);
        }
    }
}

fn run(page: &mut Page, seen: &Overview) {
    let Some(run) = &seen.run else { return };
    let id = run.id.to_string();
    page.family("haul_run_info", "gauge", "The current run, or the last one.");
    page.sample("haul_run_info", &[("run", &id), ("version", env!("CARGO_PKG_VERSION"))], 1);
    page.one("haul_run_start_time_seconds", "gauge", "When it began.", seconds(run.started_at));
    page.one("haul_run_active", "gauge", "1 while it is going.", u8::from(run.phase == Phase::Running));
}

fn limits(page: &mut Page, seen: &Overview) {
    let all = [
        ("haul_rate_limit_permits", "Requests that a limit allows in its window."),
        ("haul_rate_limit_window_seconds", "The window of a limit."),
        ("haul_rate_limit_paused_until_seconds", "Nothing is sent before this time; 0 = not paused."),
    ];
    for (i, (name, help)) in all.into_iter().enumerate() {
        page.family(name, "gauge", help);
        for limit in &seen.limits {
            let value = [limit.permits as f64, seconds(limit.window_us), seconds(limit.paused_until.unwrap_or(0))][i];
            page.sample(name, &[("limit", &limit.name)], value);
        }
    }
}

/// What this run has done.
fn counters(page: &mut Page, tally: &Tally) {
    for (name, help, n) in [
        ("haul_requests_total", "Requests answered, or failed without an answer.", tally.requests),
        ("haul_requests_refused_total", "Of these, refused as too many (429).", tally.refused),
        ("haul_retries_total", "Failed attempts whose jobs are tried again.", tally.retried),
        ("haul_jobs_succeeded_total", "Jobs that succeeded.", tally.succeeded),
        ("haul_jobs_failed_total", "Jobs given up.", tally.failed),
        ("haul_results_within_sla_total", "Results within the SLA.", tally.within_sla),
        ("haul_results_late_total", "Results beyond the SLA.", tally.late),
        ("haul_outcomes_stale_total", "Outcomes dropped because another run had taken their jobs.", tally.stale),
    ] {
        page.one(name, "counter", &format!("{help} In this run."), n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul::minutes::Bucket;

    #[test]
    fn a_histogram_counts_what_lies_below_each_bound_and_a_label_is_escaped() {
        let mut tally = Tally::default();
        tally.latencies.0.insert((0, "fetch", 4_095), Bucket { n: 2, ..Bucket::default() });
        tally.latencies.0.insert((0, "fetch", 90_000_000), Bucket { n: 1, ..Bucket::default() });
        tally.spent_us.insert("fetch", 60_008_000);
        let mut page = Page(String::new());
        page.histogram("t", &[("a", "x\"\\\n")], &[1_000, 5_000], &tally, "fetch");
        let label = r#"a="x\"\\\n""#;
        assert_eq!(
            page.0,
            format!(
                "t_bucket{{{label},le=\"0.001\"}} 0\nt_bucket{{{label},le=\"0.005\"}} 2\nt_bucket{{{label},le=\"+Inf\"}} 3\n\
                 t_sum{{{label}}} 60.008\nt_count{{{label}}} 3\n"
            )
        );
    }
}
