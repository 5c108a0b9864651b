//! The one connection of a worker, its transactions, and what is done where it is lost.
//!
//! A future of the store is never dropped half-way, so a transaction that was begun here is ended here. Nothing is kept on the
//! connection but prepared statements, and those only where no pooler is in between.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection, query, query_scalar, raw_sql};

use super::{Address, Inner};
use crate::backoff::chance;
use crate::clock::{Clock, Micros, SECOND_US};
use crate::fail_point::{Point, pass};
use crate::store::{Stall, StoreError};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A transaction that came into another one's way is tried again so often, at once.
const MOST_TRIES: u32 = 8;

/// What became of a COMMIT without an answer is asked for so long.
const ASKED_FOR_US: Micros = 60 * SECOND_US;

/// Every verb is one transaction, so that it may go through a pooler that hands connections out by the transaction. A worker that
/// stands still in the middle of one (SIGSTOP, a network that is cut) must not hold its locks for long. Whatever the role or the
/// server has as a default: what waited for a lock must see what the one before it wrote, and a commit is there to stay.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on; \
                                SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL lock_timeout = '15s'; \
                                SET LOCAL statement_timeout = '60s'; SET LOCAL jit = off";

/// The same for what lasts as long as its input: an import of all or nothing, jobs made anew.
pub(super) const BEGIN_LONG: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on; \
                                     SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '15s'; \
                                     SET LOCAL statement_timeout = 0; SET LOCAL jit = off";

/// Everything asked in it is of one moment, or the numbers would not add up while others write.
pub(super) const BEGIN_SNAPSHOT: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '60s'; SET LOCAL jit = off";

/// A connection in a transaction.
pub(super) struct Tx {
    pub(super) connection: PgConnection,
    /// Statements stay prepared.
    pub(super) named: bool,
}

/// A worker's way to its database.
pub(super) struct Session {
    address: Address,
    /// Its row of `receipts`: random, from the first connection on.
    name: Option<String>,
    /// Transactions that were to be committed.
    turn: i64,
    tx: Option<Tx>,
    clock: Clock,
    /// Connections that could not be made, one after the other.
    refused: u32,
}

/// How far a transaction got before it failed.
pub(super) enum Failed {
    /// Surely not written.
    Unwritten(Source),
    /// Nobody knows, and nobody could be asked.
    Unknown(Source),
}

impl Session {
    pub(super) fn new(address: Address, clock: Clock) -> Self {
        Self { address, name: None, turn: 0, tx: None, clock, refused: 0 }
    }

    /// The transaction that [`Session::begin`] began.
    pub(super) fn tx(&mut self) -> Inner<&mut Tx> {
        self.tx.as_mut().ok_or_else(|| "there is no connection".into())
    }

    /// Begins a transaction, over a new connection where there is none, or the old one is found to be dead.
    pub(super) async fn begin(&mut self, statement: &'static str) -> Result<(), Failed> {
        if let Some(tx) = &mut self.tx {
            match raw_sql(statement).execute(&mut tx.connection).await {
                Ok(_) => return Ok(()),
                Err(_) => self.tx = None, // nothing was asked of it yet
            }
        }
        self.connect().await?;
        let tx = self.tx().map_err(Failed::Unwritten)?;
        let begun = raw_sql(statement).execute(&mut tx.connection).await;
        begun.map(drop).map_err(|error| Failed::Unwritten(error.into()))
    }

    /// Connects, after a moment that grows with every time it failed, and is another for every worker.
    pub(super) async fn connect(&mut self) -> Result<(), Failed> {
        let most_ms = (50_u32 << self.refused.min(5)).min(1_000);
        if self.refused > 0 {
            let share = chance(self.clock.now_us().unsigned_abs(), i64::from(self.refused), std::process::id());
            let wait =
                Duration::from_millis(u64::from(most_ms / 4)) + Duration::from_millis(most_ms.into()).mul_f64(share);
            self.clock.sleep_until_us(self.clock.now_us() + crate::clock::micros(wait)).await;
        }
        self.refused += 1;
        match self.address.options().connect().await {
            Ok(connection) => {
                self.refused = 0;
                self.tx = Some(Tx { connection, named: self.address.named() });
                Ok(())
            }
            Err(error) => Err(Failed::Unwritten(error.into())),
        }
    }

    /// Writes this session down, once there is a schema to do it in.
    pub(super) async fn register(&mut self) -> Result<(), Failed> {
        self.begin(BEGIN).await?;
        let name = self.name.clone();
        let tx = self.tx().map_err(Failed::Unwritten)?;
        let known = query_scalar(include_str!("open_session.sql")).persistent(false).bind(name);
        match known.fetch_one(&mut tx.connection).await {
            Ok(name) => self.name = Some(name),
            Err(error) => return Err(self.roll_back(error.into()).await),
        }
        self.commit(false).await
    }

    /// Ends a transaction: all that was done in it is there, or nothing.
    pub(super) async fn commit(&mut self, writes: bool) -> Result<(), Failed> {
        self.turn += i64::from(writes);
        let (turn, name) = (self.turn, self.name.clone());
        let tx = self.tx().map_err(Failed::Unwritten)?;
        if writes {
            let receipt = query(include_str!("receipt.sql")).persistent(tx.named).bind(name).bind(turn);
            if let Err(error) = receipt.execute(&mut tx.connection).await {
                return Err(self.roll_back(error.into()).await);
            }
            pass(Point::BeforeCommit);
        }
        match raw_sql("COMMIT").execute(&mut tx.connection).await {
            Ok(_) => {}
            Err(error) if !writes || error.as_database_error().is_some_and(|said| !ends(said.code().as_deref())) => {
                return Err(self.roll_back(error.into()).await);
            }
            Err(error) => {
                self.tx = None;
                if !self.was_committed(turn).await.map_err(|_| Failed::Unknown(error.to_string().into()))? {
                    return Err(Failed::Unwritten(error.into()));
                }
                tracing::info!("the connection was lost at a commit, which was made all the same");
            }
        }
        if writes {
            pass(Point::AfterCommit);
        }
        Ok(())
    }

    /// Ends a transaction as if it had not been; where that cannot be said to the server, the end of the connection says it.
    pub(super) async fn roll_back(&mut self, error: Source) -> Failed {
        if let Some(tx) = &mut self.tx
            && (lost(&error) || raw_sql("ROLLBACK").execute(&mut tx.connection).await.is_err())
        {
            self.tx = None;
        }
        Failed::Unwritten(error)
    }

    /// Reads back what became of a COMMIT that got no answer. The receipt is locked by a transaction whose end is just being
    /// written, so whoever reads it waits for that.
    async fn was_committed(&mut self, turn: i64) -> Result<bool, Failed> {
        let until_us = self.clock.now_us() + ASKED_FOR_US;
        loop {
            let asked = self.last_receipt().await;
            match asked {
                Ok(last) => return Ok(last >= turn),
                Err(failed) if self.clock.now_us() > until_us => return Err(failed),
                Err(_) => self.tx = None,
            }
        }
    }

    async fn last_receipt(&mut self) -> Result<i64, Failed> {
        self.begin(BEGIN).await?;
        let name = self.name.clone();
        let tx = self.tx().map_err(Failed::Unwritten)?;
        let read = query_scalar(include_str!("received.sql")).persistent(false).bind(name);
        let last = read.fetch_one(&mut tx.connection).await;
        let over = raw_sql("COMMIT").execute(&mut tx.connection).await;
        over.and(last).map_err(|error| Failed::Unwritten(error.into()))
    }

    /// `None`: the same is to be done again, at once. Else what this means.
    pub(super) fn told(&self, doing: &str, failed: Failed, tries: u32) -> Option<StoreError> {
        let doing = doing.to_owned();
        let (source, unknown) = match failed {
            Failed::Unwritten(source) => (source, false),
            Failed::Unknown(source) => (source, true),
        };
        let code = code(&source);
        let code = code.as_deref();
        if unknown {
            return Some(StoreError::Database {
                doing: format!("{doing}; whether it was written is not known"),
                source,
            });
        }
        // A deadlock, or an order of transactions that could not be.
        let in_the_way = matches!(code, Some("40001" | "40P01"));
        if in_the_way && tries < MOST_TRIES {
            return None;
        }
        let path = self.address.to_string();
        let stall = match code {
            Some("53100") => Some(Stall::Full { path, free: None }),
            Some("55P03" | "57014") => Some(Stall::Locked { path }),
            _ if in_the_way => Some(Stall::Locked { path }),
            _ if lost(&source) => Some(Stall::Away { path }),
            _ => None,
        };
        Some(match stall {
            Some(stall) => StoreError::Stalled { doing, stall, source },
            None => StoreError::Database { doing, source },
        })
    }

    /// Says goodbye.
    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        match self.tx {
            Some(tx) => tx.connection.close().await,
            None => Ok(()),
        }
    }
}

fn code(error: &Source) -> Option<String> {
    let error = error.downcast_ref::<sqlx::Error>()?;
    error.as_database_error().and_then(|said| said.code().map(std::borrow::Cow::into_owned))
}

/// The server ends this connection with its error: it goes down, is being started, or somebody ended it; or it cannot be written,
/// as it follows another one; or has too many connections already.
fn ends(code: Option<&str>) -> bool {
    let code = code.unwrap_or_default();
    code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" | "25006")
}

/// The connection is gone, or was never made: it may be made again.
fn lost(error: &Source) -> bool {
    match error.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Database(said)) => ends(said.code().as_deref()),
        Some(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed) => true,
        _ => false,
    }
}
