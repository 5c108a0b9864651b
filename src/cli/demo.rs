//! `haul demo`: the first minute. A rate-limited API on loopback, and a full run against it over real HTTP.

mod api;
mod work;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use haul::clock::{Clock, span};
use haul::limit::Limit;
use haul::process::Work;
use haul::request::Request;
use haul::settings::Settings;
use haul::stop::{Phase, Stop};
use haul::store::sqlite::{open_read_only, overview};
use haul::store::{Chunk, NewJob, OnConflict, Store};
use tokio::net::TcpListener;

use self::api::{Config, Stats};
use self::work::SumOfSquares;
use super::exit::{Exit, UsageError};
use super::next;
use super::run::{Held, OnceFlags, Watch, drain, last_settings};
use super::signals;
use super::terminal::quiet_if_closed;

/// Where the demo leaves its jobs and results.
const DATABASE: &str = "haul-demo.db";

/// The deadline of the original task.
const SLA: Duration = Duration::from_millis(500);

/// Jobs of one import transaction.
const CHUNK: u64 = 5_000;

const EXAMPLES: &str = "\
Examples:
  haul demo                                    about ten seconds
  haul demo --jobs 100000 --rate 20/s          the original task: 85 minutes; Ctrl-C as you like
  haul demo --serve-only --listen 127.0.0.1:8077
  haul demo --api http://127.0.0.1:8077        the same, against the API of the other terminal";

/// See it work: a rate-limited API on loopback, drained over real HTTP, with CPU work on every response
///
/// Leaves haul-demo.db. Interrupted, it goes on when run again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// How many jobs there are to be
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    jobs: u64,
    /// What the API allows, and what haul is told to keep
    #[arg(short, long, value_name = "N/TIME", default_value = "20/s")]
    rate: Limit,
    /// Jobs in flight at most
    #[arg(short, long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Use the API that another `haul demo --serve-only` serves
    #[arg(long, value_name = "URL", conflicts_with_all = ["serve_only", "listen"])]
    api: Option<String>,
    /// Only serve the API, until Ctrl-C
    #[arg(long)]
    serve_only: bool,
    /// Where the API listens [default: any free port on loopback]
    #[arg(long, value_name = "ADDR", value_parser = loopback)]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    once: OnceFlags,
}

/// The demo is for this machine alone.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|e| format!("{e}; write 127.0.0.1:8077"))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("the demo listens on loopback only: 127.0.0.1:PORT".to_owned())
    }
}

/// `haul demo`.
pub(crate) async fn run(args: DemoArgs, db: Option<PathBuf>, quiet: bool) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let config = Config { permits: args.rate.permits as usize, window: span(args.rate.window_us), ..Config::default() };
    if args.serve_only {
        return serve_only(args.listen, config, clock).await;
    }
    let db = db.unwrap_or_else(|| DATABASE.into());
    refuse_real_work(&db).await?;
    let last = last_settings(&db).await?;
    let place = args.once.place(&db).await?;
    let held = Held::take(&db, true, last.durability, clock).await?;
    let stop = Stop::new();
    let seen = signals::watch(stop.clone()).context("failed to watch for signals")?;
    let server = Server::start(&args, &last, config, clock).await?;
    add_jobs(&*held.store, args.jobs, &server.base, clock).await?;
    let mut settings = Settings {
        limits: vec![args.rate.clone()],
        concurrency: usize::from(args.concurrency),
        sla: Some(SLA),
        ..Settings::default()
    };
    settings.template.url = Some(server.template());
    say(&format!(
        "demo: {} jobs against {} ({} allowed), results in {}",
        args.jobs,
        server.base,
        args.rate,
        db.display()
    ));
    let watch = Watch { stop, seen, quiet, place, demo: true };
    let json = args.once.json;
    let exit = drain(held, settings, Work::of(SumOfSquares), args.once, watch).await?;
    let stats = server.finish().await?;
    // Who asked for JSON gets one object, and nothing after it.
    if !json {
        if let Some(stats) = stats {
            show(&stats, &args.rate)?;
        }
        try_next(&db, exit)?;
    }
    Ok(exit)
}

/// Jobs that somebody imported are not to be drained by a demo.
async fn refuse_real_work(db: &Path) -> anyhow::Result<()> {
    use sqlx::Connection;

    if std::fs::metadata(db).map_or(true, |file| file.len() == 0) {
        return Ok(());
    }
    let mut reader = open_read_only(db).await?;
    let found = overview(&mut reader, 0).await;
    reader.close().await?;
    match found?.source {
        Some(source) if source != next::DEMO => {
            let text = format!(
                "{} holds jobs of {source}, which the demo will not touch; name another file with --db",
                db.display()
            );
            Err(UsageError(text).into())
        }
        _ => Ok(()),
    }
}

/// The API of this demo: served here, or by another process.
struct Server {
    base: String,
    serving: Option<(Stop, tokio::task::JoinHandle<std::io::Result<Stats>>)>,
}

impl Server {
    async fn start(args: &DemoArgs, last: &Settings, config: Config, clock: Clock) -> anyhow::Result<Self> {
        if let Some(api) = &args.api {
            return Ok(Self { base: api.trim_end_matches('/').to_owned(), serving: None });
        }
        // Jobs of an interrupted demo name the address that it had.
        let before = last.template.url.as_deref().and_then(address);
        let address = args.listen.or(before).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = listen(address).await?;
        let base = format!("http://{}", listener.local_addr().context("failed to learn the address of the API")?);
        let stop = Stop::new();
        let until = stop.clone();
        let serving =
            tokio::spawn(api::serve(listener, config, clock, async move { until.reached(Phase::Drain).await }));
        Ok(Self { base, serving: Some((stop, serving)) })
    }

    fn template(&self) -> String {
        format!("{}/numbers/{{{{ id }}}}", self.base)
    }

    /// Ends the API served here, and tells what it saw.
    async fn finish(self) -> anyhow::Result<Option<Stats>> {
        let Some((stop, serving)) = self.serving else { return Ok(None) };
        stop.drain();
        Ok(Some(serving.await.context("the API of the demo failed")?.context("the API of the demo failed")?))
    }
}

/// The address in the URL template of an earlier demo.
fn address(template: &str) -> Option<SocketAddr> {
    template.strip_prefix("http://")?.split('/').next()?.parse().ok()
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        let text = format!(
            "failed to listen on {address}: {e}; name another address with --listen and another file with --db"
        );
        UsageError(text).into()
    })
}

async fn serve_only(address: Option<SocketAddr>, config: Config, clock: Clock) -> anyhow::Result<Exit> {
    let listener = listen(address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8077)))).await?;
    let base = format!("http://{}", listener.local_addr().context("failed to learn the address of the API")?);
    let stop = Stop::new();
    let seen = signals::watch(stop.clone()).context("failed to watch for signals")?;
    let window = humantime::format_duration(config.window);
    say(&format!("serving {base}/numbers/ID ({} in any {window}) and {base}/stats until Ctrl-C", config.permits));
    let stats = api::serve(listener, config, clock, async move { stop.reached(Phase::Drain).await }).await?;
    let mut out = anstream::stdout();
    quiet_if_closed(writeln!(out, "{}", serde_json::to_string(&stats)?).and_then(|()| out.flush()))?;
    Ok(seen.signal().map_or(Exit::Done, Exit::Signal))
}

/// Adds the jobs that are not there yet.
async fn add_jobs(store: &impl Store, jobs: u64, base: &str, clock: Clock) -> anyhow::Result<()> {
    let there = store.counts().await?.values().sum::<u64>();
    if there >= jobs {
        return Ok(());
    }
    let import = store.begin_import(next::DEMO, None, clock.now_us()).await?;
    let mut next = there + 1;
    while next <= jobs {
        let end = (next + CHUNK).min(jobs + 1);
        let chunk = Chunk { jobs: (next..end).map(|id| job(id, base)).collect(), rejects: Vec::new() };
        store.import(import, &chunk, clock.now_us()).await?;
        next = end;
    }
    Ok(())
}

fn job(id: u64, base: &str) -> NewJob {
    let row = [("id".to_owned(), id.into())].into_iter().collect();
    let request = Request { method: "GET".to_owned(), url: format!("{base}/numbers/{id}"), row, ..Request::default() };
    NewJob { key: id.to_string(), line: id, request, on_conflict: OnConflict::Reject }
}

fn say(text: &str) {
    // Where stderr is closed the demo goes on unseen.
    let _ = writeln!(anstream::stderr(), "{text}");
}

fn show(stats: &Stats, rate: &Limit) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    let Stats { total, answered, refused, most_in_window, .. } = stats;
    let window = humantime::format_duration(span(rate.window_us));
    quiet_if_closed(writeln!(
        out,
        "the API saw {total} requests: {answered} answered, {refused} refused; most in any {window}: {most_in_window} (allowed {})",
        rate.permits
    ))
}

fn try_next(db: &Path, exit: Exit) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    let command = |verb| next::command(verb, db);
    let written = if exit == Exit::Done {
        let verbs = [
            "status",
            "query 'SELECT key, status_code, latency_ms, result FROM job_view LIMIT 5'",
            "query 'SELECT * FROM latency'",
        ];
        writeln!(out, "try next:\n  {}", verbs.map(command).join("\n  "))
    } else {
        writeln!(out, "not done yet, and nothing is lost; it goes on with: {}", command("demo"))
    };
    quiet_if_closed(written)
}
