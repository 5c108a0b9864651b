//! Real file systems that are too small or read-only, and a real limit of open files.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use haul::store::sqlite::{Disk, disk};
use tempfile::TempDir;

use crate::resume::bench::{Bench, Ended, until};
use crate::row::Figures;
use crate::server::{Answer, Asked, Script, Server};
use crate::strace;
use crate::trial::sound;

const JOBS: usize = 60;

/// A file system of its own, in memory, which goes with this.
struct Mount(TempDir);

impl Mount {
    /// `None` where this user may not mount.
    fn of(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn read_only(&self) {
        let again = Command::new("mount").args(["-o", "remount,ro"]).arg(self.path()).status().expect("mount");
        assert!(again.success(), "mounted again");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Jobs of this bench, in a database on this file system.
fn moved(bench: &Bench, mount: &Mount) -> PathBuf {
    let db = mount.path().join("jobs.db");
    fs::copy(bench.db(), &db).expect("a copy");
    db
}

fn haul(db: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
    command.arg("--db").arg(db).args(args);
    command
}

/// Takes all the room but so much.
fn fill(mount: &Mount, room: u64) {
    let mut file = File::create(mount.path().join("ballast")).expect("a file");
    while file.write_all(&[1; 4096]).is_ok() {}
    file.set_len(file.metadata().expect("a file").len() - room).expect("some room");
}

fn make_room(mount: &Mount) {
    fs::remove_file(mount.path().join("ballast")).expect("room");
}

/// Each answer takes 30 KB.
fn server() -> Server {
    let answer = |_: &Asked| Answer::json(format!("\"{}\"", "x".repeat(30_000)));
    Server::start(Script::new(answer).latency(Duration::from_millis(50)))
}

/// Every job has its result.
fn check(db: &Path) {
    sound(db);
    let results: Vec<(i64,)> = Bench::rows_of(db, "SELECT count(*) FROM results");
    assert_eq!(results, [(JOBS as i64,)]);
}

/// A disk that is full in the middle of a run: it waits, and goes on as soon as there is room.
pub(crate) fn small_disk(figures: &mut Figures) {
    let Some(mount) = Mount::of("48m") else { return figures.skip("no file system can be mounted here") };
    let server = server();
    let bench = Bench::with_jobs(&server, JOBS);
    let db = moved(&bench, &mount);
    let mut run = bench.spawn(haul(&db, &["resume", "-c", "4"]));
    until("some are done", || server.total() >= 12);
    fill(&mount, 0);
    run.says("nothing more is sent");
    let waited_at = server.total();
    until("it tries again", || !run.runs() || run.said().len() > 100);
    assert!(run.runs() && server.total() == waited_at, "it waits: {}", run.said());
    make_room(&mount);
    let ended = run.wait().exits(0);
    assert!(ended.stderr.contains("can be written again"), "{}", ended.stderr);
    check(&db);
    assert_eq!(server.total(), JOBS as u64, "nothing was sent twice");
    figures.note("tmpfs_waited_at", waited_at);
}

/// One that stays full: the run ends and says why, and another goes on.
pub(crate) fn full_disk(figures: &mut Figures) {
    let Some(mount) = Mount::of("48m") else { return figures.skip("no file system can be mounted here") };
    let server = server();
    let bench = Bench::with_jobs(&server, JOBS);
    let db = moved(&bench, &mount);
    fill(&mount, 1_000_000);
    let ended = bench.spawn(haul(&db, &["resume", "-c", "4", "--grace", "2s"])).wait().exits(1);
    for words in ["the disk of ", "jobs.db is full (", "make room on that disk"] {
        assert!(ended.stderr.contains(words), "no `{words}` in: {}", ended.stderr);
    }
    assert!(server.total() >= 4, "it had begun");
    bench.spawn(haul(&db, &["status"])).wait().exits(0);
    make_room(&mount);
    bench.spawn(haul(&db, &["resume", "-c", "4"])).wait().exits(0);
    check(&db);
    assert!(server.total() <= JOBS as u64 + 4, "those in flight are sent again: {} requests", server.total());
}

/// A file system that is read-only: what reads works, what writes is refused by name.
pub(crate) fn read_only(figures: &mut Figures) {
    let Some(mount) = Mount::of("20m") else { return figures.skip("no file system can be mounted here") };
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, JOBS);
    let db = moved(&bench, &mount);
    mount.read_only();
    let ended = bench.spawn(haul(&db, &["query", "SELECT count(*) AS n FROM jobs"])).wait().exits(0);
    assert!(ended.stdout.contains("60"), "{}", ended.stdout);
    bench.spawn(haul(&db, &["status"])).wait().exits(0);
    bench.spawn(haul(&db, &["export"])).wait().exits(0);
    fs::write(bench.db().with_file_name("more.txt"), format!("{}/more\n", server.url())).expect("an input");
    for args in [&["resume"][..], &["cancel", "-y", "--where", "true"], &["import", "more.txt"]] {
        let ended = bench.spawn(haul(&db, args)).wait().exits(1);
        let said = &ended.stderr;
        assert!(said.contains("jobs.db") && said.contains("Read-only file system"), "{args:?}: {said}");
    }
    assert_eq!(server.total(), 0);
    figures.note("read_only", true);
}

/// A file system in memory lasts no longer than the machine: a run says so, once, and goes on; those that only look do not.
// Seen failing without the warning, and with one for every database.
pub(crate) fn in_memory(figures: &mut Figures) {
    let Some(mount) = Mount::of("20m") else { return figures.skip("no file system can be mounted here") };
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, JOBS);
    let db = moved(&bench, &mount);
    let warned = |ended: &Ended| ended.stderr.matches("is not durable: it lies on a file system in memory").count();
    assert_eq!(warned(&bench.spawn(haul(&db, &["status"])).wait().exits(0)), 0);
    let ended = bench.spawn(haul(&db, &["resume"])).wait().exits(0);
    assert_eq!(warned(&ended), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("jobs.db is not durable"), "it names the database: {}", ended.stderr);
    // Where the folder for temporary files is in memory itself, there is no other disk to compare with.
    if disk(&bench.db()) == Disk::Lasting {
        let ended = bench.run(&["resume"]).exits(0);
        assert_eq!(warned(&ended), 0, "{}", ended.stderr);
    }
    check(&db);
    figures.note("in_memory", true);
}

/// The folder for temporary files is full where a large database is written anew: nothing is lost, and that is said.
// Seen failing with fewer bytes than the page cache holds: nothing goes to that folder, and there is no error.
pub(crate) fn small_temporary(figures: &mut Figures) {
    let Some(mount) = Mount::of("1m") else { return figures.skip("no file system can be mounted here") };
    // More stays than the 16 MB of it that fit into the page cache.
    let server = Server::start(Script::new(|_: &Asked| Answer::json(format!("\"{}\"", "x".repeat(600_000)))));
    let bench = Bench::with_jobs(&server, JOBS);
    bench.run(&["run", "--process", "jq:length"]).exits(0);
    let mut prune = haul(&bench.db(), &["prune", "--responses", "--where", "id <= 20"]);
    prune.env("SQLITE_TMPDIR", mount.path());
    let ended = bench.spawn(prune).wait().exits(1);
    assert!(ended.stderr.contains("jobs.db") && ended.stderr.contains("is full"), "{}", ended.stderr);
    check(&bench.db());
    bench.run(&["prune", "--responses", "--where", "id <= 20"]).exits(0);
    check(&bench.db());
    assert_eq!(bench.number("SELECT count(*) FROM responses"), JOBS as i64 - 20, "they are dropped");
    figures.note("small_temporary", true);
}

/// A network file system is refused, and nothing is made there: strace has the system say that it is one.
// Seen failing where the file was made before it was asked what it would lie on.
pub(crate) fn network(figures: &mut Figures) {
    if !strace::is_there(figures) {
        return;
    }
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, JOBS);
    let beside = |name: &str| bench.db().with_file_name(name);
    fs::write(beside("more.txt"), format!("{}/more\n", server.url())).expect("an input");
    let new = beside("new.db");
    for (magic, name) in [(0x6969_u64, "NFS"), (0xff53_4d42, "SMB/CIFS"), (0xfe53_4d42, "SMB/CIFS")] {
        // The first field of the structure says what it is.
        let field: String = magic.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let fault = format!("statfs:poke_exit=@arg2={field}");
        for (db, args) in
            [(bench.db(), &["resume"][..]), (new.clone(), &["run", "more.txt"]), (new.clone(), &["import", "more.txt"])]
        {
            let program = haul(&db, args);
            let ended = bench.spawn(strace::injected::<&str>(&program, "statfs", &[], &beside("log"), &fault)).wait();
            let said = &ended.stderr;
            if said.contains("invalid") && said.contains("strace") {
                return figures.skip("this strace cannot change what a call answers");
            }
            let words = format!("{} is on a network file system ({name})", db.display());
            assert!(ended.status.code() == Some(1) && said.contains(&words), "{args:?}, {:?}: {said}", ended.status);
        }
        assert!(!new.exists(), "nothing is made there");
    }
    assert_eq!((server.total(), bench.number("SELECT count(*) FROM runs")), (0, 0), "nothing was begun");
    figures.note("network_refused", true);
}

/// Few files may be open: fewer requests are in flight, and none fails for it.
pub(crate) fn few_files(figures: &mut Figures) {
    let server = Server::start(Script::ok().latency(Duration::from_millis(20)));
    let bench = Bench::with_jobs(&server, JOBS);
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_haul");
    command.args(["-c", &format!("ulimit -n 32; exec {program} --db '{}' resume -c 64", bench.db().display())]);
    let run = bench.spawn(command);
    let mut most = 0;
    until("all are asked for", || {
        most = most.max(server.unanswered());
        server.total() >= JOBS as u64
    });
    let ended = run.wait().exits(0);
    assert!(ended.stderr.contains("may have only 32 files open: at most 12 requests"), "{}", ended.stderr);
    assert!(most <= 12, "{most} in flight");
    bench.check_clean(JOBS, &server);
    figures.note("few_files_in_flight", most);
}
