//! The one module with unsafe code: makes a read-only connection safe for SQL that somebody typed.
//!
//! `mode=ro` alone is not enough: `VACUUM INTO` writes a copy, `ATTACH` reads and writes other files, a recursive query
//! runs for ever. So, each for itself enough for what it is there for: nothing may be attached; an authorizer lets only
//! reading pass; the schema is neither trusted nor writable; values, statements and time have limits; and a statement
//! that SQLite itself does not call read-only is not run.
#![expect(unsafe_code, reason = "SQLite's limits and its authorizer have no safe interface in sqlx")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use libsqlite3_sys as ffi;
use sqlx::SqliteConnection;

use crate::clock::{Clock, Micros, micros};

/// Bytes of one value or row, at most: above the largest body kept by default, and a bound on what one expression can take.
const VALUE_BYTES: c_int = 128 << 20;

/// Limits on a statement, generous for what people write and far below what would hurt.
const LIMITS: [(c_int, c_int); 9] = [
    (ffi::SQLITE_LIMIT_ATTACHED, 0),
    (ffi::SQLITE_LIMIT_LENGTH, VALUE_BYTES),
    (ffi::SQLITE_LIMIT_SQL_LENGTH, 1 << 20),
    (ffi::SQLITE_LIMIT_COMPOUND_SELECT, 100),
    (ffi::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (ffi::SQLITE_LIMIT_VDBE_OP, 1_000_000),
    (ffi::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
    (ffi::SQLITE_LIMIT_VARIABLE_NUMBER, 1_000),
    (ffi::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// On or off. Double-quoted text is a name and never a string: a mistyped name is an error, not a constant.
const CONFIG: [(c_int, c_int); 8] = [
    (ffi::SQLITE_DBCONFIG_DEFENSIVE, 1),
    (ffi::SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
    (ffi::SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0),
    (ffi::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0),
    (ffi::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, 0),
    (ffi::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, 0),
    (ffi::SQLITE_DBCONFIG_DQS_DML, 0),
    (ffi::SQLITE_DBCONFIG_DQS_DDL, 0),
];

/// Pragmas that only tell. With an argument: those whose argument is the name of what is asked about.
const PRAGMAS: [&str; 12] = [
    "application_id",
    "collation_list",
    "compile_options",
    "encoding",
    "freelist_count",
    "function_list",
    "journal_mode",
    "page_count",
    "page_size",
    "pragma_list",
    "table_list",
    "user_version",
];
const PRAGMAS_ABOUT: [&str; 6] =
    ["foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_xinfo"];

/// Functions that reach outside of the database. Most are not even built in; the list does not rely on it.
const OUTSIDE: [&str; 6] = ["edit", "fts3_tokenizer", "load_extension", "readfile", "sqlite_log", "writefile"];

/// How many steps of SQLite's machine pass between two looks at the clock: some ten microseconds.
const STEPS_A_LOOK: i32 = 1_000;

/// How long SQLite may still work. Runs only while somebody waits for a row, so a slow reader of the answer costs nothing.
#[derive(Debug)]
pub(super) struct Budget {
    clock: Clock,
    until_us: AtomicI64,
}

impl Budget {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { clock: Clock::start(), until_us: AtomicI64::new(Micros::MAX) })
    }

    /// From now on so long.
    pub(super) fn run_for(&self, left: Duration) {
        self.until_us.store(self.clock.now_us().saturating_add(micros(left)), Ordering::Relaxed);
    }

    /// The clock stands; what was left, is.
    pub(super) fn hold(&self) -> Duration {
        let until = self.until_us.swap(Micros::MAX, Ordering::Relaxed);
        crate::clock::span(until.saturating_sub(self.clock.now_us()))
    }

    /// Nobody waits any more: end at once.
    pub(super) fn end(&self) {
        self.until_us.store(Micros::MIN, Ordering::Relaxed);
    }

    fn lasts(&self) -> bool {
        let until = self.until_us.load(Ordering::Relaxed);
        until == Micros::MAX || self.clock.now_us() < until
    }
}

/// Hardens a read-only connection, for good.
pub(super) async fn harden(conn: &mut SqliteConnection, budget: Arc<Budget>) -> Result<(), sqlx::Error> {
    let mut locked = conn.lock_handle().await?;
    let db = locked.as_raw_handle().as_ptr();
    for (limit, value) in LIMITS {
        // SAFETY: `db` is open, and ours alone while `locked` lives. An unknown limit is ignored, a high one is lowered.
        unsafe { ffi::sqlite3_limit(db, limit, value) };
    }
    for (option, value) in CONFIG {
        // SAFETY: as above. These options take an int and a pointer to where the outcome goes, which may be null.
        let code = unsafe { ffi::sqlite3_db_config(db, option, value, ptr::null_mut::<c_int>()) };
        succeeded(code)?;
    }
    // SAFETY: as above. `authorize` is a function, so it outlives the connection; it takes no user data.
    let code = unsafe { ffi::sqlite3_set_authorizer(db, Some(authorize), ptr::null_mut()) };
    succeeded(code)?;
    locked.set_progress_handler(STEPS_A_LOOK, move || budget.lasts());
    Ok(())
}

fn succeeded(code: c_int) -> Result<(), sqlx::Error> {
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(sqlx::Error::Protocol(format!("SQLite refused to be restricted (code {code})"))),
    }
}

/// SQLite asks this while it compiles a statement. What is not known to be harmless is denied.
extern "C" fn authorize(
    _data: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    _database: *const c_char,
    _within: *const c_char,
) -> c_int {
    let bare = second.is_null();
    // SAFETY: SQLite hands over null or a string that ends in NUL and lives until this returns.
    let (first, second) = unsafe { (text(first), text(second)) };
    let allowed = match action {
        ffi::SQLITE_SELECT | ffi::SQLITE_READ | ffi::SQLITE_RECURSIVE => true,
        ffi::SQLITE_FUNCTION => second.is_some_and(|name| !is_in(&OUTSIDE, name)),
        ffi::SQLITE_PRAGMA => first.is_some_and(|name| is_in(&PRAGMAS_ABOUT, name) || (bare && is_in(&PRAGMAS, name))),
        _ => false,
    };
    if allowed { ffi::SQLITE_OK } else { ffi::SQLITE_DENY }
}

/// # Safety
/// `at` is null, or a string that ends in NUL and outlives the result.
unsafe fn text<'a>(at: *const c_char) -> Option<&'a str> {
    // SAFETY: what the caller promises. Text that is no UTF-8 is on no list, as good as none.
    (!at.is_null()).then(|| unsafe { CStr::from_ptr(at) }).and_then(|text| text.to_str().ok())
}

fn is_in(list: &[&str], name: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A statement as SQLite sees it.
pub(super) struct Compiled {
    /// Length of the statement; what follows is another one, a comment or nothing.
    pub(super) length: usize,
    /// Names of its columns; none where it gives no rows.
    pub(super) columns: Vec<String>,
    /// Names of its parameters, `None` for a bare `?`.
    pub(super) parameters: Vec<Option<String>>,
    /// SQLite says that it writes nothing.
    pub(super) read_only: bool,
}

/// Compiles the first statement of `sql`, without running it. `None`: there is none, only comments and space.
///
/// `sql` must hold no NUL: SQLite would end there.
pub(super) async fn compile(conn: &mut SqliteConnection, sql: &str) -> Result<Option<Compiled>, Refusal> {
    let mut locked = conn.lock_handle().await.map_err(Refusal::Driver)?;
    let db = locked.as_raw_handle();
    let length = c_int::try_from(sql.len()).map_err(|_| Refusal::too_long())?;
    let start = sql.as_ptr().cast::<c_char>();
    let (mut statement, mut tail) = (ptr::null_mut(), ptr::null());
    // SAFETY: `db` is open, and ours alone while `locked` lives; SQLite reads `length` bytes from `start`, all of them
    // `sql`'s, and writes the two out-pointers, which outlive the call.
    let code = unsafe { ffi::sqlite3_prepare_v3(db.as_ptr(), start, length, 0, &mut statement, &mut tail) };
    let Some(statement) = NonNull::new(statement) else {
        return if code == ffi::SQLITE_OK { Ok(None) } else { Err(refusal(db, code)) };
    };
    // SAFETY: SQLite points `tail` into `sql`, at or behind `start`, so both are of the same string.
    let used = usize::try_from(unsafe { tail.offset_from(start) }).unwrap_or(sql.len());
    let compiled = describe(statement, used);
    // SAFETY: `statement` was made above, is used nowhere else, and not after this.
    unsafe { ffi::sqlite3_finalize(statement.as_ptr()) };
    Ok(Some(compiled))
}

fn describe(statement: NonNull<ffi::sqlite3_stmt>, length: usize) -> Compiled {
    let raw = statement.as_ptr();
    // SAFETY, for all of these: `raw` is a compiled statement that nobody else has; columns count from 0, parameters from
    // 1; a name is null or ends in NUL, lives as long as the statement, and is copied at once.
    unsafe {
        let column = |i| text(ffi::sqlite3_column_name(raw, i)).unwrap_or("?").to_owned();
        let parameter = |i| text(ffi::sqlite3_bind_parameter_name(raw, i)).map(str::to_owned);
        Compiled {
            length,
            columns: (0..ffi::sqlite3_column_count(raw)).map(column).collect(),
            parameters: (1..=ffi::sqlite3_bind_parameter_count(raw)).map(parameter).collect(),
            read_only: ffi::sqlite3_stmt_readonly(raw) != 0,
        }
    }
}

/// Why a statement was not compiled.
#[derive(Debug)]
pub(super) enum Refusal {
    /// SQLite's code and message.
    Sql(c_int, String),
    /// The connection itself failed.
    Driver(sqlx::Error),
}

impl Refusal {
    fn too_long() -> Self {
        Self::Sql(ffi::SQLITE_TOOBIG, "statement too long".to_owned())
    }
}

fn refusal(db: NonNull<ffi::sqlite3>, code: c_int) -> Refusal {
    // SAFETY: `db` is open and locked by the caller; the message ends in NUL, lives until the next call on `db`, and is
    // copied before.
    let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(db.as_ptr())) };
    Refusal::Sql(code & 0xff, message.to_string_lossy().into_owned())
}
