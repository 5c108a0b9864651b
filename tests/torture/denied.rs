//! A part of 9: files and folders that may not be written. What only reads goes on, and what writes is refused by name.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use crate::resume::bench::{Bench, Ended};
use crate::row::Figures;
use crate::server::{Script, Server};

const JOBS: usize = 5;
/// Who has no rights but those that the modes give: they mean nothing to root.
const NOBODY: u32 = 65_534;

/// Modes. Seen failing where it was expected that an unreadable file is refused with the words for one that cannot be written.
pub(crate) fn modes(figures: &mut Figures) {
    let server = Server::start(Script::ok());
    for (of_file, of_folder) in [(0o400, 0o700), (0o600, 0o500), (0o400, 0o500), (0o000, 0o700)] {
        let bench = Bench::with_jobs(&server, JOBS);
        let (db, folder) = (bench.db(), bench.db().parent().expect("a folder").to_owned());
        fs::write(db.with_file_name("jobs.db.lock"), "").expect("a lock that nobody holds");
        let all = [db.clone(), db.with_file_name("jobs.db.lock"), folder.clone()];
        all.iter().for_each(|path| chown(path, Some(NOBODY), Some(NOBODY)).expect("given away"));
        set(&db, of_file);
        set(&folder, of_folder);
        let haul = |args: &[&str]| as_nobody(&bench, args);
        let tried = haul(&["--version"]);
        if tried.status.code() != Some(0) {
            return figures.skip("the program cannot be called as another user here");
        }
        let what = format!("file {of_file:o}, folder {of_folder:o}");
        for args in [&["resume"][..], &["cancel", "-y", "--where", "true"]] {
            let ended = haul(args);
            let said = &ended.stderr;
            assert_eq!(ended.status.code(), Some(1), "{what}, {args:?}: {said}");
            let reason = if of_file == 0 { "may this user read it" } else { "ermission denied" };
            assert!(said.contains("jobs.db") && said.contains(reason), "{what}, {args:?}: {said}");
        }
        let reads = haul(&["query", "SELECT count(*) AS n FROM jobs"]);
        let readable = of_file != 0;
        assert_eq!(reads.status.code(), Some(if readable { 0 } else { 1 }), "{what}: {}", reads.stderr);
        assert!(reads.stdout.contains(&JOBS.to_string()) || !readable, "{what}: {}", reads.stdout);
        set(&folder, 0o700);
        // What a reader left beside it has the mode that the database had then.
        let files = ["jobs.db", "jobs.db-wal", "jobs.db-shm"].map(|name| db.with_file_name(name));
        files.iter().filter(|file| file.exists()).for_each(|file| set(file, 0o600));
        let ended = haul(&["resume"]);
        assert_eq!(ended.status.code(), Some(0), "{what}: as soon as it may, it goes on: {}", ended.stderr);
        assert_eq!(bench.number("SELECT count(*) FROM results"), JOBS as i64);
    }
    figures.note("modes", true);
}

/// A file that not even root may write.
pub(crate) fn immutable(figures: &mut Figures) {
    let server = Server::start(Script::ok());
    let bench = Bench::with_jobs(&server, JOBS);
    let chattr = |flag: &str| Command::new("chattr").arg(flag).arg(bench.db()).output();
    if !chattr("+i").is_ok_and(|tried| tried.status.success()) {
        return figures.note("immutable", false); // a matter of the file system
    }
    let ended = bench.run(&["resume"]);
    let reads = bench.run(&["status"]);
    chattr("-i").expect("mutable again");
    let said = &ended.stderr;
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("jobs.db") && said.contains("not permitted"), "{said}");
    reads.exits(0);
    assert_eq!(server.total(), 0);
    bench.run(&["resume"]).exits(0);
    figures.note("immutable", true);
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

fn as_nobody(bench: &Bench, args: &[&str]) -> Ended {
    let mut command = Command::new("setpriv");
    let ids = ["--reuid", "--regid"].map(|id| format!("{id}={NOBODY}"));
    command.args(ids).args(["--clear-groups", env!("CARGO_BIN_EXE_haul"), "--db"]).arg(bench.db()).args(args);
    bench.spawn(command).wait()
}
