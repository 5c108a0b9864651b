//! 12: files with flipped bytes, cut off, not ours, older or newer: a clear error or a run as it should be, never a panic, and
//! nothing that is not ours is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::checker::copied;
use crate::random_numbers::Random;
use crate::resume::bench::{Bench, Ended};
use crate::row::{Figures, Row};
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};
use crate::trial::sound;
use crate::upgrade;

/// Seen failing with an error that did not name the database: a query of a file with flipped bytes.
pub(crate) const ROW: Row = Row { name: "12", what: "damaged, foreign, old and new files", run };

const JOBS: usize = 40;
const VERBS: &[&[&str]] = &[&["resume", "-c", "8"], &["status"], &["query", "SELECT * FROM job_view"], &["export"]];
/// What a verb may end with on such a file.
const CODES: [i32; 8] = [0, 1, 2, 3, 4, 5, 65, 75];

/// What is done to a database.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Flipped,
    FlippedHeader,
    FlippedLog,
    Cut,
    CutLog,
    NoLog,
    OtherLog,
    Zeroed,
    Noise,
    Foreign,
    Newer,
    Older,
}

const HARMS: [Harm; 12] = [
    Harm::Flipped,
    Harm::FlippedHeader,
    Harm::FlippedLog,
    Harm::Cut,
    Harm::CutLog,
    Harm::NoLog,
    Harm::OtherLog,
    Harm::Zeroed,
    Harm::Noise,
    Harm::Foreign,
    Harm::Newer,
    Harm::Older,
];

fn run(figures: &mut Figures) {
    let files = figures.many("files", "HAUL_TORTURE_FILES", 150, 50_000);
    let mut random = Random::new(figures.seed());
    let gate = Gate::closed();
    let held = gate.clone();
    let server = Server::start(Script::new(move |asked: &Asked| -> Reply {
        let answer = Answer::json(format!("\"{}\"", asked.key)).into();
        if asked.key == "0020" { Reply::Held(held.clone(), Box::new(answer)) } else { answer }
    }));
    // Killed in the middle of a run: there is a log, and a lease.
    let bench = Bench::with_jobs(&server, JOBS);
    let run = bench.start(&["resume", "-c", "2"]);
    crate::resume::bench::until("half is done", || server.total() >= 30);
    run.kill();
    gate.open();
    let mut exits: BTreeMap<String, u64> = BTreeMap::new();
    for n in 0..files {
        let harm = HARMS[(n % HARMS.len() as u64) as usize];
        let victim = Bench::empty();
        take(&bench.db(), &victim.db());
        harm.done(&victim.db(), &server, &mut random);
        let before = bytes(&victim.db());
        for verb in if n % 3 == 0 { VERBS } else { &VERBS[..1] } {
            let ended = victim.run(verb);
            judge(harm, verb, &ended);
            let code = ended.status.code().unwrap_or(-1);
            *exits.entry(format!("{code}")).or_default() += 1;
            match harm {
                Harm::Noise | Harm::Foreign | Harm::Newer | Harm::Zeroed => {
                    assert_ne!(code, 0, "{harm:?}, {verb:?}: {}", ended.stderr);
                    assert!(bytes(&victim.db()) == before, "{harm:?}, {verb:?}: what is not ours is not written");
                }
                Harm::Older => {
                    assert_eq!(code, 0, "{harm:?}, {verb:?}: {}", ended.stderr);
                }
                _ => {}
            }
        }
        if matches!(harm, Harm::Older) {
            sound(&victim.db());
            assert_eq!(victim.number("SELECT count(*) FROM results"), JOBS as i64);
        }
        figures.note("exits", format!("{exits:?}"));
    }
    let refused: u64 = exits.iter().filter(|(code, _)| *code != "0").map(|(_, n)| n).sum();
    let all: u64 = exits.values().sum();
    assert!(refused * 3 > all && refused < all, "some are refused, and some go on: {exits:?}");
}

fn judge(harm: Harm, verb: &[&str], ended: &Ended) {
    let said = &ended.stderr;
    assert!(!said.contains("panicked") && !said.contains("bug of haul"), "{harm:?}, {verb:?}: {said}");
    let Some(code) = ended.status.code() else { panic!("{harm:?}, {verb:?}: {:?}: {said}", ended.status) };
    assert!(CODES.contains(&code), "{harm:?}, {verb:?}: exit {code}: {said}");
    if [1, 2, 4].contains(&code) {
        assert!(said.contains("error: ") && said.contains("jobs.db"), "{harm:?}, {verb:?}: {said}");
    }
}

impl Harm {
    fn done(self, db: &Path, server: &Server, random: &mut Random) {
        let wal = with(db, "-wal");
        match self {
            Self::Flipped => flip(db, usize::MAX, random),
            Self::FlippedHeader => flip(db, 100, random),
            Self::FlippedLog => flip(&wal, usize::MAX, random),
            Self::Cut => cut(db, random),
            Self::CutLog => cut(&wal, random),
            Self::NoLog => fs::remove_file(&wal).expect("a log"),
            Self::OtherLog => {
                let other = Bench::with_jobs(server, 7);
                let (_aside, copy) = copied(&other.db());
                let mut theirs = bytes(&copy);
                theirs.truncate(bytes(&wal).len());
                // The header is that of a log, and what follows is of another database.
                let ours = bytes(&wal);
                let head = ours.len().min(32);
                fs::write(&wal, [&ours[..head], &theirs].concat()).expect("a log");
            }
            Self::Zeroed => {
                fs::remove_file(&wal).expect("a log");
                fs::write(db, vec![0; bytes(db).len()]).expect("zeros");
            }
            Self::Noise => {
                fs::remove_file(&wal).expect("a log");
                let noise: Vec<u8> = (0..50_000).map(|_| random.below(256) as u8).collect();
                fs::write(db, noise).expect("noise");
            }
            Self::Foreign => remade(db, "CREATE TABLE jobs (id); INSERT INTO jobs VALUES (1)"),
            Self::Newer => {
                remade(db, "PRAGMA application_id = 0x6861756c; PRAGMA user_version = 1000; CREATE TABLE jobs (id)")
            }
            Self::Older => {
                fs::remove_file(&wal).expect("a log");
                fs::remove_file(db).expect("a database");
                upgrade::old(db, &server.url(), JOBS);
            }
        }
    }
}

/// A few bytes of the first so many, or of all of it.
fn flip(path: &Path, most: usize, random: &mut Random) {
    let mut found = bytes(path);
    let length = found.len().min(most);
    for _ in 0..=random.below(20) {
        found[random.below(length)] ^= 1 << random.below(8);
    }
    fs::write(path, found).expect("a file");
}

fn cut(path: &Path, random: &mut Random) {
    let mut found = bytes(path);
    found.truncate(random.below(found.len()));
    fs::write(path, found).expect("a file");
}

fn remade(db: &Path, sql: &'static str) {
    use sqlx::{ConnectOptions, Connection};
    fs::remove_file(with(db, "-wal")).expect("a log");
    fs::remove_file(db).expect("a database");
    crate::resume::bench::done(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(db).create_if_missing(true);
        let mut connection = options.connect().await.expect("a database");
        sqlx::raw_sql(sql).execute(&mut connection).await.expect(sql);
        connection.close().await.expect("closed");
    });
}

fn take(from: &Path, to: &Path) {
    fs::copy(from, to).expect("a copy");
    fs::copy(with(from, "-wal"), with(to, "-wal")).expect("a copy of the log");
}

fn with(db: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).expect("a file")
}
