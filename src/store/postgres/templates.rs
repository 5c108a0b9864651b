//! What a database remembers for the next run.

use super::*;

pub(super) async fn newest(tx: &mut Tx) -> Inner<Option<String>> {
    let found = rows!(tx, "template.sql");
    let Some(row) = found.first() else { return Ok(None) };
    let newer: bool = row.try_get(1)?;
    Ok(if newer { Some(row.try_get(0)?) } else { None })
}

impl PostgresStore {
    /// What it remembers.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn remembered(&self) -> Result<Remembered, StoreError> {
        read_tx!(self, "read what the last run was told", |tx| {
            let intended: Option<String> = optional!(tx, "intended.sql");
            let last: Option<String> = optional!(tx, "settings.sql");
            let imported = rows!(tx, "templates.sql").iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
            Remembered { settings: intended.or(last), template: newest(tx).await?, imported }
        })
    }

    /// Writes down what a run is told that imports first, so that whoever goes on after its death keeps its limits too.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn intend(&self, settings: &str) -> Result<(), StoreError> {
        write_tx!(self, "write the settings of the run down", |tx| {
            execute!(tx, "intend.sql", settings);
        })
    }

    /// Writes down which jobs are being taken up to be processed again, in many transactions; `None`: all of them are.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn mark(&self, condition: Option<&str>) -> Result<(), StoreError> {
        write_tx!(self, "write down which jobs are processed again", |tx| {
            match condition {
                Some(condition) => execute!(tx, "begin_marking.sql", condition),
                None => execute!(tx, "end_marking.sql"),
            };
        })
    }

    /// What is true of the jobs that were being taken up when somebody died or was stopped.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn marking(&self) -> Result<Option<String>, StoreError> {
        read_tx!(self, "look which jobs are to be processed again", |tx| optional!(tx, "marking.sql"))
    }

    /// All the ways in which imports made requests, as JSON.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn templates(&self) -> Result<Vec<String>, StoreError> {
        read_tx!(self, "read the templates of the imports", |tx| {
            rows!(tx, "templates.sql").iter().map(|row| row.try_get(0)).collect::<Result<_, sqlx::Error>>()?
        })
    }

    /// Whether a job that an import made with this template is not finished. Takes longer the more jobs wait.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn waits_for_template(&self, template: &str) -> Result<bool, StoreError> {
        read_tx!(self, "look for jobs of an import", |tx| scalar!(tx, "waits_for_template.sql", template))
    }

    /// How many jobs were never sent, and how many there are. Takes longer the more wait to be sent.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn count_unsent(&self) -> Result<(u64, u64), StoreError> {
        let unsent: i64 = read_tx!(self, "count the jobs that were not sent", |tx| scalar!(tx, "count_unsent.sql"))?;
        Ok((unsent.unsigned_abs(), self.counts().await?.values().sum()))
    }
}
