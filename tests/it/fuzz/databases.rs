//! Databases with damage in their bytes: opened and worked on as a run does it, in this very process.

use std::fs;
use std::path::{Path, PathBuf};

use haul::clock::Clock;
use haul::limit::Limit;
use haul::settings::Durability;
use haul::store::sqlite::{SqliteStore, open_read_only, overview, remembered, results};
use haul::store::{RunOutcome, Store, StoreError, Want};

use super::mutation::{Mutation, outline};
use crate::random_numbers::Random;
use crate::resume::bench::{Bench, done, until};
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};
use crate::store_suite::scene::new_run;

const JOBS: usize = 24;

fn log_of(db: &Path) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// A database whose run was killed: leases, responses, results, attempts, and a log beside it.
fn killed() -> (Vec<u8>, Vec<u8>) {
    let gate = Gate::closed();
    let held = gate.clone();
    let server = Server::start(Script::new(move |asked: &Asked| -> Reply {
        let answer = if asked.key == "0003" { Answer::status(404) } else { Answer::json(format!("{:?}", asked.key)) };
        if asked.key == "0020" { Reply::Held(held.clone(), Box::new(answer.into())) } else { answer.into() }
    }));
    let bench = Bench::with_jobs(&server, JOBS);
    let run = bench.start(&["run", "--rate", "500/s", "-c", "2"]);
    until("most is done", || server.total() >= 22);
    run.kill();
    gate.open();
    (fs::read(bench.db()).expect("a file"), fs::read(log_of(&bench.db())).expect("a log"))
}

/// All that a run and those who look on do first, and what came of it.
async fn worked_on(db: &Path) -> Result<String, StoreError> {
    let now_us = Clock::start().now_us();
    let store = SqliteStore::open(db, Durability::Crash, false).await?;
    let counts = store.counts().await?;
    let work = async {
        store.settings().await?;
        store.template().await?;
        store.limits().await?;
        let limits = vec!["500/s".parse::<Limit>().expect("a limit")];
        let recovered = store.recover(&new_run(&limits), now_us).await?;
        let want = Want { slots: 16, requests: 16 };
        let spends = vec![now_us + 1_000_000; 16];
        let leases = store.claim(recovered.run, &want, &spends, now_us).await?;
        store.next_due().await?;
        let held: Vec<_> = leases.iter().map(|lease| (lease.job, lease.attempt)).collect();
        store.release(recovered.run, &held, &[]).await?;
        store.end(recovered.run, RunOutcome::Stopped, now_us).await?;
        Ok(format!("{} {}", recovered.interrupted, leases.len()))
    };
    let worked: Result<String, StoreError> = work.await;
    // Closed whatever came of it, as the program does.
    let closed = store.close().await;
    let mut reader = open_read_only(db).await?;
    overview(&mut reader, now_us).await?;
    remembered(db).await?;
    results(db, (0, 0), 100).await?;
    closed?;
    Ok(format!("{} {}", worked?, counts.len()))
}

/// Damage where it hurts: the header, the heads of pages, the pointers behind them; or anywhere.
fn hurt(bytes: &mut [u8], page: usize, dice: &mut Random) {
    let pages = (bytes.len() / page).max(1);
    let head = dice.below(pages) * page;
    let at = match dice.below(5) {
        0 => dice.below(100),
        1 => head + dice.below(8),
        2 => head + 8 + dice.below(60),
        3 => page.saturating_sub(dice.below(3_000) + 1), // the schema stands at the end of the first page
        _ => dice.below(bytes.len()),
    };
    let Some(byte) = bytes.get_mut(at) else { return };
    *byte = match dice.below(4) {
        0 => 0,
        1 => 0xff,
        2 => *byte ^ (1 << dice.below(8)),
        _ => dice.below(256) as u8,
    };
}

#[test]
fn fuzz_of_databases() {
    let seed = crate::resume::bench::setting("HAUL_FUZZ_SEED", 1);
    let (file, log) = killed();
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("jobs.db");
    // The case says how it is damaged; what is damaged is always the same.
    Mutation::of(&["0", "12", "345"], &["6"], seed).run("databases", 60, |_, dice| {
        let (mut file, mut log) = (file.clone(), log.clone());
        for _ in 0..=dice.below(6) {
            match dice.below(8) {
                0 => file.truncate(dice.below(file.len() + 1)),
                1 => log.truncate(dice.below(log.len() + 1)),
                2 | 3 if !log.is_empty() => hurt(&mut log, 16_384 + 24, dice),
                _ if !file.is_empty() => hurt(&mut file, 16_384, dice),
                _ => {}
            }
        }
        let _ = fs::remove_file(db.with_file_name("jobs.db-shm")); // it may not be there
        fs::write(&db, &file).expect("a file");
        fs::write(log_of(&db), &log).expect("a log");
        match done(worked_on(&db)) {
            Ok(how) => how,
            Err(error) => {
                let mut said = error.to_string();
                assert!(!said.is_empty());
                if let Some(source) = std::error::Error::source(&error) {
                    said = format!("{said}: {source}");
                }
                outline(&said.replace(&db.display().to_string(), ""))
            }
        }
    });
}
