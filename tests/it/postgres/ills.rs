//! What may befall a fleet and its database. Left out of an ordinary test run, but for `HAUL_TEST_FLEET_S`: they take minutes.

use std::process::{Child, Command};
use std::time::Duration;

use super::fleet::{Fleet, nap, seconds};
use super::{Database, Server as Postgres, say};

const SECOND_NS: u64 = 1_000_000_000;

/// What workers that were taken for dead may have had in their hands: where nobody can give a sign of life for 15 s, on a machine that
/// is busy with other things, that happens to one that lives.
const RESENT: u64 = 4 * 64;

/// Sends a signal.
fn signal(worker: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &worker.id().to_string()]).status().expect("kill");
    assert!(sent.success(), "{name}");
}

/// How many requests a second arrived, between the first and the last.
fn pace(fleet: &Fleet) -> f64 {
    let arrivals = fleet.server.arrivals();
    let (first, last) = (arrivals.iter().map(|a| a.at_ns).min(), arrivals.iter().map(|a| a.at_ns).max());
    let span_ns = last.zip(first).map_or(1, |(last, first)| last - first);
    (arrivals.len() - 1) as f64 * SECOND_NS as f64 / span_ns as f64
}

#[tokio::test]
async fn four_workers_keep_one_limit_and_reach_it() {
    let Some(seconds) = seconds() else { return };
    let Some(database) = Database::create().await else { return };
    let jobs = usize::try_from(20 * seconds).expect("few");
    let fleet = Fleet::new(database, jobs, Duration::from_millis(50)).await;
    fleet.end((0..4).map(|_| fleet.join("20/s")).collect()).await;
    fleet.check(20, 0).await;
    let pace = pace(&fleet);
    say(&format!("20/s, 4 workers: {pace:.2} a second"));
    assert!(pace >= 0.95 * 20.0, "{pace:.2} a second");
}

#[tokio::test]
async fn the_clocks_of_workers_do_not_matter() {
    if seconds().is_none() || Command::new("faketime").arg("--version").output().is_err() {
        return;
    }
    let Some(database) = Database::create().await else { return };
    let fleet = Fleet::new(database, 1_500, Duration::from_millis(200)).await;
    let mut workers: Vec<_> = ["+10m", "-10m"].iter().map(|clock| fleet.join_at(clock, "50/s")).collect();
    workers.extend((0..2).map(|_| fleet.join("50/s")));
    fleet.end(workers).await;
    fleet.check(50, 0).await;
    let pace = pace(&fleet);
    say(&format!("clocks 10 minutes apart: {pace:.1} of 50 a second"));
    assert!(pace >= 0.7 * 50.0, "{pace:.1} a second");
}

/// It stands still with jobs in its hands for longer than it takes to be taken for dead, and writes nothing when it wakes.
#[tokio::test]
async fn a_worker_that_was_stopped_for_long_does_no_harm_when_it_goes_on() {
    if seconds().is_none() {
        return;
    }
    let Some(database) = Database::create().await else { return };
    let fleet = Fleet::new(database, 2_500, Duration::from_millis(200)).await;
    let mut workers: Vec<_> = (0..4).map(|_| fleet.join("50/s")).collect();
    let mut held = 0;
    while held == 0 {
        nap(500).await;
        signal(&workers[0], "STOP");
        nap(100).await; // what was under way is there by then
        held = fleet.held_by(workers[0].id()).await;
        if held == 0 {
            signal(&workers[0], "CONT");
        }
    }
    let mut taken_up_s = 0.0;
    for tenth in 1..=300_u32 {
        nap(100).await;
        if taken_up_s == 0.0 && fleet.held_by(workers[0].id()).await == 0 {
            taken_up_s = f64::from(tenth) / 10.0;
        }
    }
    signal(&workers[0], "CONT");
    say(&format!("what a stopped worker held went on after {taken_up_s} s"));
    assert!(taken_up_s > 0.0 && taken_up_s <= 22.0, "{taken_up_s}");
    let stopped = workers.remove(0);
    fleet.end(workers).await;
    // It was taken for dead, so it stops; it may also have found nothing left.
    let code = super::fleet::ended(stopped).await;
    say(&format!("the stopped one ended with {code:?}"));
    assert!(matches!(code, Some(0 | 75)), "{code:?}");
    fleet.check(50, held.unsigned_abs()).await;
}

/// Connections are cut again and again, the server is restarted in each way, and for some time it takes no connection at all.
#[tokio::test]
async fn a_fleet_outlasts_whatever_befalls_its_database() {
    if seconds().is_none() {
        return;
    }
    let Some(postgres) = tokio::task::spawn_blocking(Postgres::start).await.expect("a server or none") else { return };
    let fleet = Fleet::new(Database::on(&postgres).await, 3_000, Duration::from_millis(200)).await;
    let workers: Vec<_> = (0..4).map(|_| fleet.join("100/s")).collect();
    for how in ["fast", "immediate", "fast"] {
        nap(3_000).await;
        postgres.restart(how);
    }
    nap(2_000).await;
    for _ in 0..100 {
        let mut conn = fleet.database.connect().await;
        fleet.database.cut(&mut conn).await;
        nap(100).await;
    }
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(fleet.database.connect().await);
    }
    nap(2_000).await;
    // The rest too, and the workers are thrown out: for 5 s nobody gets in.
    while let Some(one) = fleet.database.try_connect().await {
        idle.push(one);
    }
    fleet.database.cut_worker(&mut idle[0]).await;
    while let Some(one) = fleet.database.try_connect().await {
        idle.push(one);
    }
    nap(5_000).await;
    drop(idle);
    fleet.end_or_stop(workers).await;
    fleet.check(100, RESENT).await;
    say(&format!("through all of it: {:.1} of 100 a second", pace(&fleet)));
}
