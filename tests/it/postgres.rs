//! A throw-away PostgreSQL server out of the machine's own binaries, and databases on it.
//!
//! Where there are none (Debian: `apt-get install postgresql`), what needs one is skipped, and says so; with
//! `HAUL_TEST_POSTGRES=required` that is a failure.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

mod fleet;
mod ills;
mod statements;
mod verbs;

/// Makes a skip a failure.
const REQUIRED: &str = "HAUL_TEST_POSTGRES";

/// A server that ends with the process that started it, and leaves nothing behind.
pub(crate) struct Server {
    folder: PathBuf,
    bin: PathBuf,
    /// It goes on for as long as this end of its standard input is open.
    _watched: Child,
}

/// Runs below `$1`, whose end it waits for on its standard input: `$2` = the binaries, `$3` = options of the server.
const SCRIPT: &str = r#"
set -e
"$2/initdb" -D "$1/data" -U haul -A trust -E UTF8 --locale=C --no-sync >"$1/log" 2>&1
"$2/pg_ctl" -D "$1/data" -l "$1/log" -w -o "$3" start >/dev/null
echo ready
read -r _ || true
"$2/pg_ctl" -D "$1/data" -m immediate stop >/dev/null || true
rm -rf "$1"
"#;

impl Server {
    /// One for all tests of this process; `None`: this machine has none.
    fn of_all() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        SERVER.get_or_init(Self::start).as_ref()
    }

    /// One that may be ended and started again.
    pub(crate) fn start() -> Option<Self> {
        let Some(bin) = binaries() else {
            assert!(std::env::var_os(REQUIRED).is_none(), "there is no PostgreSQL on this machine, and it is required");
            say("SKIPPED: there is no PostgreSQL on this machine (Debian: apt-get install postgresql)");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder").keep();
        let mut command = Command::new("sh");
        if is_root() {
            // The server refuses to run as root.
            let owned = Command::new("chown").args(["postgres"]).arg(&folder).status().expect("chown");
            assert!(owned.success(), "no user postgres");
            command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
        }
        command.args(["-c", SCRIPT, "sh"]).arg(&folder).arg(&bin).arg(options(&folder)).current_dir("/");
        let mut watched = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut said = [0; 5];
        let ready = watched.stdout.as_mut().expect("it is piped").read_exact(&mut said);
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(ready.is_ok() && said == *b"ready", "the server does not start: {}", log());
        Some(Self { folder, bin, _watched: watched })
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://haul@localhost/{database}?host={}", self.folder.display())
    }
}

/// It dies with a process at worst, never with the machine, so it need not wait for the disk; where trials are measured it does.
fn options(folder: &Path) -> String {
    let waits = if fleet::seconds().is_some() { "on" } else { "off" };
    format!(
        "-c listen_addresses='' -c unix_socket_directories='{}' -c max_connections=400 -c fsync={waits} -c full_page_writes={waits}",
        folder.display()
    )
}

/// For whoever watches the tests.
fn say(text: &str) {
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout == b"0\n"
}

/// The folder of the newest server there is.
fn binaries() -> Option<PathBuf> {
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|e| e.path()).collect();
    versions.sort_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    versions.into_iter().rev().map(|path| path.join("bin")).find(|bin| bin.join("initdb").exists())
}

/// An empty database of its own.
pub(crate) struct Database {
    url: String,
    name: String,
}

impl Database {
    /// `None`: this machine has no server.
    pub(crate) async fn create() -> Option<Self> {
        let server = tokio::task::spawn_blocking(Server::of_all).await.expect("a server or none")?;
        Some(Self::on(server).await)
    }

    pub(crate) async fn on(server: &Server) -> Self {
        static NTH: AtomicUsize = AtomicUsize::new(0);
        let name = format!("haul{}", NTH.fetch_add(1, Ordering::Relaxed));
        let mut conn = PgConnection::connect(&server.url("postgres")).await.expect("a connection");
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut conn).await.expect("a database");
        Self { url: server.url(&name), name }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("a connection")
    }

    /// `None`: the server takes no more.
    pub(crate) async fn try_connect(&self) -> Option<PgConnection> {
        PgConnection::connect(&self.url).await.ok()
    }

    /// Ends the connections of workers.
    pub(crate) async fn cut_worker(&self, conn: &mut PgConnection) {
        let cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'haul'";
        sqlx::query(cut).bind(&self.name).execute(conn).await.expect(cut);
    }

    /// Ends every other connection to it.
    pub(crate) async fn cut(&self, conn: &mut PgConnection) {
        let cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()";
        sqlx::query(cut).bind(&self.name).execute(conn).await.expect(cut);
    }
}

impl Server {
    /// Ends the server in this way (`fast`, `immediate`), and starts it again.
    pub(crate) fn restart(&self, how: &str) {
        let log = self.folder.join("log");
        let data = self.folder.join("data");
        let call = |args: &[&str]| {
            let mut command = Command::new(if is_root() { "setpriv" } else { "env" });
            if is_root() {
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
            }
            command.arg(self.bin.join("pg_ctl")).arg("-D").arg(&data).args(args).current_dir("/").stdout(Stdio::null());
            assert!(command.status().expect("pg_ctl").success(), "{args:?}");
        };
        call(&["-m", how, "-w", "stop"]);
        call(&["-l", &path(&log), "-w", "-o", &options(&self.folder), "start"]);
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
