//! Where a database is. What is shown of it never has a password in it.

use std::fmt;
use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

/// What names this kind of database.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// A database on a PostgreSQL server, with what opens it.
#[derive(Clone)]
pub struct Address {
    options: PgConnectOptions,
    shown: String,
    /// Statements stay prepared on the connection; not where a pooler changes what is behind it.
    named: bool,
}

/// What is wrong with an address; never the address itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no address of a PostgreSQL database: {reason}; write postgres://USER@HOST/DATABASE, the password in PGPASSWORD"
)]
pub struct AddressError {
    reason: String,
}

impl Address {
    /// Whether this names a database on a server, not a file.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        SCHEMES.iter().any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    pub(super) fn named(&self) -> bool {
        self.named
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = |reason: &str| AddressError { reason: reason.to_owned() };
        if !Self::is_one(text) {
            return Err(wrong("it does not begin with postgres://"));
        }
        // The parser's own words may quote what it was given.
        let options: PgConnectOptions = text.parse().map_err(|_| wrong("it cannot be read"))?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(wrong("it names no database"));
        }
        let named = !text.contains("statement-cache-capacity=0");
        let options = options.disable_statement_logging().application_name("haul");
        Ok(Self { shown: shown(&options), named, options })
    }
}

/// The address without its password and parameters, such as may be typed again where the password comes from elsewhere.
fn shown(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();
    let user = options.get_username();
    match options.get_socket() {
        Some(socket) => format!("postgres://{user}@localhost/{database}?host={}", socket.display()),
        None => {
            let port = Some(options.get_port()).filter(|port| *port != 5432);
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("postgres://{user}@{}{port}/{database}", options.get_host())
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// As it is shown: the options hold the password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown_in_any_form() {
        for text in [
            "postgres://me:hunter2@db.example.com:5433/jobs?sslmode=prefer",
            "postgresql://me@db.example.com:5433/jobs?password=hunter2",
            "postgres://me:hunter2@%2Frun%2Fpostgresql/jobs",
        ] {
            let address: Address = text.parse().expect("an address");
            assert!(!format!("{address} {address:?}").contains("hunter2"), "{address:?}");
            assert!(address.to_string().contains("me@"), "{address}");
        }
        let shown = "postgres://me:x@db.example.com:5433/jobs".parse::<Address>().expect("an address").to_string();
        assert_eq!(shown, "postgres://me@db.example.com:5433/jobs");
    }

    #[test]
    fn what_is_wrong_is_said_without_what_was_given() {
        for text in
            ["postgres://me:hunter2@host:port/jobs", "postgres://me:hunter2@host", "mysql://me:hunter2@host/jobs"]
        {
            let said = text.parse::<Address>().expect_err("no address").to_string();
            assert!(!said.contains("hunter2") && said.contains("postgres://USER@HOST/DATABASE"), "{said}");
        }
        assert!(Address::is_one("POSTGRES://x/y") && !Address::is_one("postgres.db") && !Address::is_one("é"));
    }
}
