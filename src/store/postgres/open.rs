//! Opening a database on a server: look first, touch only what is ours, then migrate.

use sqlx::raw_sql;

use super::*;

/// The schema, in the order of its versions.
const MIGRATIONS: [&str; 2] = [
    include_str!("../../../migrations/postgres/0001_tables.sql"),
    include_str!("../../../migrations/postgres/0002_views.sql"),
];

/// The newest schema version known here.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Of the server: its clock, its locks and its `ON CONFLICT` are used as they are from there on.
const LEAST_SERVER: i32 = 140_000;

/// What lies there.
enum Found {
    Nothing,
    Ours(i64),
}

impl PostgresStore {
    /// Makes or migrates the schema, all of it or nothing. The lock is taken before looking: of two machines that open a new
    /// database at once, the second finds what the first has made.
    pub(super) async fn bring_up_to_date(&self, create: bool) -> Result<(), StoreError> {
        let mut session = self.session().await;
        match self.found(&mut session, true).await? {
            Found::Nothing if !create => return Err(StoreError::Missing { path: self.address.to_string() }),
            Found::Ours(version) if version == SCHEMA_VERSION => {}
            _ => {
                migrate(&mut session).await.map_err(|error| failed(&session, error))?;
                pass(Point::Migrated);
            }
        }
        session.register().await.map_err(|error| failed(&session, error))?;
        pass(Point::Opened);
        Ok(())
    }

    /// Looks whether it can be read as it is.
    pub(super) async fn look_only(&self) -> Result<(), StoreError> {
        let mut session = self.session().await;
        let path = self.address.to_string();
        match self.found(&mut session, false).await? {
            Found::Nothing => Err(StoreError::Missing { path }),
            Found::Ours(version) if version < SCHEMA_VERSION => {
                let reason = "it is of an older haul, and only read here; a `haul run` brings it up to date".to_owned();
                Err(StoreError::Foreign { path, reason })
            }
            Found::Ours(_) => Ok(()),
        }
    }

    async fn found(&self, session: &mut Session, writes: bool) -> Result<Found, StoreError> {
        session.connect().await.map_err(|error| failed(session, error))?;
        let looked = look(session).await.map_err(|error| failed(session, error))?;
        check(&self.address.to_string(), looked, writes)
    }
}

fn failed(session: &Session, failed: Failure) -> StoreError {
    import::never_again(session.told("open the database", failed, u32::MAX))
}

/// A row of header.sql, and the version of the schema where there is one.
struct Header {
    server: i32,
    ours: bool,
    tables: Option<String>,
    schema: Option<String>,
    follows: bool,
    version: i64,
}

type Failure = session::Failed;

async fn look(session: &mut Session) -> Result<Header, Failure> {
    session.begin(session::BEGIN).await?;
    let read: Inner<Header> = async {
        let tx = session.tx()?;
        let row = &rows!(tx, "header.sql")[0];
        let (server, ours, tables) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let mut version = 0;
        if ours {
            let text: Option<String> = optional!(tx, "schema_version.sql");
            version = text.as_deref().unwrap_or("0").parse()?;
        }
        Ok(Header { server, ours, tables, schema: row.try_get(3)?, follows: row.try_get(4)?, version })
    }
    .await;
    match read {
        Ok(header) => session.commit(false).await.map(|()| header),
        Err(error) => Err(session.roll_back(error).await),
    }
}

fn check(name: &str, header: Header, writes: bool) -> Result<Found, StoreError> {
    let path = name.to_owned();
    let foreign = |reason: String| StoreError::Foreign { path: path.clone(), reason };
    if header.server < LEAST_SERVER {
        return Err(foreign(format!("its server is PostgreSQL {}; haul needs 14 or newer", header.server / 10_000)));
    }
    if header.follows && writes {
        return Err(foreign("its server only follows another one: name that".to_owned()));
    }
    match (header.ours, header.tables) {
        (true, _) if header.version > SCHEMA_VERSION => {
            Err(StoreError::Newer { path, found: header.version, known: SCHEMA_VERSION })
        }
        (true, _) => Ok(Found::Ours(header.version)),
        (false, None) if header.schema.is_none() => Err(foreign("it has no schema to make tables in".to_owned())),
        (false, None) => Ok(Found::Nothing),
        (false, Some(tables)) => Err(foreign(format!(
            "it has tables of these names already ({tables}); give haul a database of its own, or a schema of its own with \
             ?options=-csearch_path%3DNAME"
        ))),
    }
}

async fn migrate(session: &mut Session) -> Result<(), Failure> {
    session.begin(session::BEGIN).await?;
    let done: Inner<()> = async {
        let tx = session.tx()?;
        execute!(tx, "lock_schema.sql");
        let there = rows!(tx, "header.sql")[0].try_get::<bool, _>(1)?;
        let text: Option<String> = if there { optional!(tx, "schema_version.sql") } else { None };
        let version: usize = text.as_deref().unwrap_or("0").parse()?;
        for sql in MIGRATIONS.into_iter().skip(version) {
            raw_sql(sql).execute(&mut tx.connection).await?;
        }
        execute!(tx, "raise_schema_version.sql", SCHEMA_VERSION.to_string());
        Ok(())
    }
    .await;
    match done {
        Ok(()) => session.commit(false).await,
        Err(error) => Err(session.roll_back(error).await),
    }
}
