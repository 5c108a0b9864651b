//! 3: the power is cut at any moment of a run, of a migration or while the file is written anew (`VACUUM`), and what was not durable
//! is lost, torn or out of order.
//!
//! strace records what the program itself writes and makes durable; from that the disk is built anew as a cut may leave it.

use std::collections::BTreeSet;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::cutting::{Recorded, record, record_migration, record_vacuum};
use crate::disk::Kept;
use crate::random_numbers::Random;
use crate::record::Event;
use crate::resume::bench::{Bench, done};
use crate::row::{Figures, Row};
use crate::strace;

/// Seen failing with `SqliteSynchronous::Off` in `open.rs`: nothing is made durable. The controls are in the row: a disk
/// that ignores every `fsync`, as `synchronous=OFF` would, must be caught; so must NORMAL where FULL is promised.
pub(crate) const ROW: Row = Row { name: "3", what: "power loss, by images of the disk", run };

/// Of so many images, one goes on to the end.
const RESUMED: u64 = 15;

/// What images of one kind came to.
#[derive(Debug, Default)]
struct Found {
    images: u64,
    /// Not sound, or not to be opened.
    corrupt: u64,
    /// Results that the program took for durable.
    lost: u64,
    /// Claims under which requests were sent.
    forgotten: u64,
    resumed: u64,
    /// Images that had something to lose.
    pending: u64,
}

fn run(figures: &mut Figures) {
    if !strace::is_there(figures) {
        return;
    }
    let images = figures.many("images", "HAUL_TORTURE_IMAGES", 300, 20_000);
    let mut random = Random::new(figures.seed());
    let full = record("power-loss");
    let crash = record("crash");
    let migrating = record_migration();
    let vacuuming = record_vacuum();
    let of_full = tried(&full, images / 2, true, false, &mut random);
    of_full.note(figures, "full");
    let of_crash = tried(&crash, images - images / 2, true, false, &mut random);
    of_crash.note(figures, "crash");
    let of_off = tried(&full, 60, false, true, &mut random);
    of_off.note(figures, "off");
    let of_migration = tried(&migrating, images / 5, true, false, &mut random);
    of_migration.note(figures, "migration");
    let of_vacuum = tried(&vacuuming, images / 5, true, false, &mut random);
    of_vacuum.note(figures, "vacuum");
    // The same disk that keeps nothing of what it is told.
    let deaf = [&migrating, &vacuuming].map(|recorded| tried(recorded, 40, false, true, &mut random).corrupt);
    figures.note("off_corrupt_migration", deaf[0]);
    figures.note("off_corrupt_vacuum", deaf[1]);
    assert_eq!((of_full.corrupt, of_full.lost, of_full.forgotten), (0, 0, 0), "{of_full:?}");
    assert_eq!(of_crash.corrupt, 0, "{of_crash:?}");
    for found in [&of_migration, &of_vacuum] {
        assert_eq!((found.corrupt, found.lost, found.forgotten), (0, 0, 0), "{found:?}");
        assert!(found.pending * 2 > found.images, "there was something to lose: {found:?}");
    }
    assert!(
        of_full.pending * 2 > of_full.images && of_crash.pending * 2 > of_crash.images,
        "there was something to lose"
    );
    assert!(of_crash.lost > 0, "a control: what NORMAL loses is seen: {of_crash:?}");
    assert!(deaf.iter().all(|corrupt| *corrupt > 0), "a control: so it is elsewhere: {deaf:?}");
    assert!(of_off.corrupt > 0 && of_off.lost > 0, "a control: a disk that ignores fsync is seen: {of_off:?}");
}

/// Cuts the power at so many moments, and looks at what is left.
fn tried(recorded: &Recorded, images: u64, resume: bool, deaf: bool, random: &mut Random) -> Found {
    let mut found = Found::default();
    // Half of them while the log is copied into the database: where order counts most, and few events are.
    let copying =
        |at: &usize| matches!(&recorded.events[*at], Event::Changed(file, _) | Event::Synced(file) if file.is_empty());
    let copying: Vec<_> = (0..recorded.events.len()).filter(copying).collect();
    let mut cut = |nth| match nth % 2 {
        0 => random.below(recorded.events.len()),
        _ => (copying[random.below(copying.len())] + 1).min(recorded.events.len() - 1),
    };
    let mut cuts: Vec<_> = (0..images).map(&mut cut).collect();
    cuts.sort_unstable();
    let mut cuts = cuts.into_iter().peekable();
    let mut disk = recorded.disk.clone();
    let (mut told, mut sent) = (recorded.done_before, BTreeSet::new());
    for (at, event) in recorded.events.iter().enumerate() {
        while cuts.next_if_eq(&at).is_some() {
            let kept = [Kept::Nothing, Kept::Half, Kept::Most, Kept::All][random.below(4)];
            let bench = Bench::empty();
            disk.after_cut(kept, random, &bench.db());
            found.images += 1;
            found.pending += u64::from(disk.pending() > 0);
            let corrupt_before = found.corrupt;
            match look(&bench.db(), recorded.jobs) {
                None => found.corrupt += 1,
                Some((succeeded, claimed)) => {
                    found.lost += told.saturating_sub(succeeded);
                    found.forgotten += sent.iter().filter(|key| !claimed.contains(*key)).count() as u64;
                }
            }
            if kept == Kept::All {
                assert_eq!(found.corrupt, corrupt_before, "what kill -9 leaves is sound, whatever the disk does");
            }
            if resume && found.images % RESUMED == 0 {
                recorded.goes_on(&bench);
                found.resumed += 1;
            }
        }
        match event {
            Event::Changed(file, change) => disk.change(file, change.clone()),
            Event::Synced(_) if deaf => {}
            Event::Synced(file) => disk.synced(file),
            Event::Done(done) => told = *done,
            Event::Sent(key) => drop(sent.insert(key.clone())),
        }
    }
    found
}

/// Results, and keys of jobs that were claimed; `None` where the database is not sound, or not all of so many jobs are there.
fn look(database: &Path, jobs: usize) -> Option<(u64, BTreeSet<String>)> {
    done(async {
        let options = SqliteConnectOptions::new().filename(database).disable_statement_logging();
        let mut connection: SqliteConnection = options.connect().await.ok()?;
        let said: Vec<(String,)> = sqlx::query_as("PRAGMA integrity_check").fetch_all(&mut connection).await.ok()?;
        if said != [("ok".to_owned(),)] {
            return None;
        }
        let whole = "SELECT count(*), (SELECT sum(n) FROM counts WHERE state = 'succeeded'), \
                     (SELECT count(*) FROM jobs WHERE state = 'succeeded'), (SELECT count(*) FROM jobs) FROM results";
        let (results, counted, succeeded, all): (i64, Option<i64>, i64, i64) =
            sqlx::query_as(whole).fetch_one(&mut connection).await.ok()?;
        if all != jobs as i64 || results != succeeded || counted.unwrap_or(0) != succeeded {
            return None; // half of a transaction
        }
        let keys = "SELECT key FROM jobs WHERE attempts > 0";
        let claimed: Vec<(String,)> = sqlx::query_as(keys).fetch_all(&mut connection).await.ok()?;
        connection.close().await.ok()?;
        Some((succeeded.unsigned_abs(), claimed.into_iter().map(|(key,)| key).collect()))
    })
}

impl Found {
    fn note(&self, figures: &mut Figures, name: &str) {
        for (what, value) in [
            ("images", self.images),
            ("corrupt", self.corrupt),
            ("lost", self.lost),
            ("forgotten", self.forgotten),
            ("resumed", self.resumed),
        ] {
            figures.note(&format!("{name}_{what}"), value);
        }
    }
}
