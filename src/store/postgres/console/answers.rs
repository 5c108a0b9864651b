//! Jobs with their answers, as they leave the database.

use std::collections::BTreeSet;

use super::{PostgresConsole, PostgresQuery};
use crate::status::StatusSet;
use crate::store::postgres::text;
use crate::store::sqlite::answers::{Answer, Columns, Place, Selection};
use crate::store::sqlite::console::QueryError;

/// The stored response, byte for byte.
const RESPONSE: &str = ", response_headers, coalesce(body_bytes, convert_to(body, 'UTF8')) AS body, body_encoding";

impl PostgresConsole {
    /// Checks the statement that gives these jobs with their answers, in the order of the import.
    ///
    /// # Errors
    /// Says what is wrong with its condition.
    pub async fn select(&mut self, selection: &Selection<'_>) -> Result<PostgresQuery, QueryError> {
        if let Some(condition) = selection.condition {
            self.check(condition).await?;
        }
        self.prepare(&selection.sql_with(RESPONSE)?, &[]).await
    }

    /// The jobs with these keys, in no order.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn places(&mut self, keys: &[&str]) -> Result<Vec<Place>, QueryError> {
        let keys: Vec<_> = keys.iter().map(|key| text::kept(key)).collect();
        let (keys, mut places) = (super::super::columns::json(&keys), Vec::new());
        self.look_up(include_str!("answers/places.sql"), &keys, |row| places.extend(Place::read(row))).await?;
        Ok(places)
    }

    /// The jobs with these numbers, each with the body of its request.
    ///
    /// # Errors
    /// Where the server does not answer, or a body is packed in a way that is not known here.
    pub async fn answers(
        &mut self,
        ids: &[i64],
        with_response: bool,
        retry_on: &StatusSet,
    ) -> Result<Vec<(Answer, Option<Vec<u8>>)>, QueryError> {
        let selection = Selection { with_response, ..Selection::default() };
        let wanted = "id IN (SELECT wanted.value::bigint FROM json_array_elements_text($1::json) AS wanted)";
        let body = ", coalesce(request_body_bytes, convert_to(request_body, 'UTF8')) AS request_body";
        let sql = selection.sql_of(RESPONSE, body, wanted)?;
        let (ids, mut answers, mut wrong) = (super::super::columns::json(&ids), Vec::new(), None);
        let mut each = |row: &[_]| match Answer::with_body(row, retry_on) {
            Ok(found) => answers.push(found),
            Err(why) => wrong = Some(why),
        };
        self.look_up(&sql, &ids, &mut each).await?;
        match wrong {
            Some(why) => Err(std::io::Error::other(why).into()),
            None => Ok(answers),
        }
    }

    /// Whether there is such a run, and the number of the last one.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn has_run(&mut self, run: i64) -> Result<(bool, Option<i64>), QueryError> {
        let mut found = (false, None);
        self.look_up(include_str!("answers/runs.sql"), &run.to_string(), |row| {
            let mut columns = Columns(row.iter());
            found = (columns.flag().unwrap_or(false), columns.integer());
        })
        .await?;
        Ok(found)
    }

    /// The request flags with which this input was imported, else those of the last import that was given any: JSON.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn template_of(&mut self, source: &str) -> Result<Option<String>, QueryError> {
        let mut template = None;
        let each = |row: &[_]| template = Columns(row.iter()).text();
        self.look_up(include_str!("answers/template.sql"), &text::kept(source), each).await?;
        Ok(template)
    }

    /// The imports whose rows become requests by these flags.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn made_by(&mut self, template: &str) -> Result<BTreeSet<i64>, QueryError> {
        let mut imports = BTreeSet::new();
        let each = |row: &[_]| imports.extend(Columns(row.iter()).integer());
        self.look_up(include_str!("answers/made_by.sql"), template, each).await?;
        Ok(imports)
    }
}
