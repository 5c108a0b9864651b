//! Where secrets come from: the environment, files, and flags of this run. Looked up when a request is sent, so that a changed
//! file counts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use anyhow::Context;
use haul::secret::{Lookup, SecretName, USER_FLAG, literal_credential, literal_credential_in_url};
use haul::settings::{RequestTemplate, Settings};
use haul::template::Template;

use super::database::Database;
use super::exit::UsageError;

/// Credentials that flags gave as they are: for this run only, by the names under which requests are stored.
#[derive(Clone, Default)]
pub(crate) struct Given(BTreeMap<String, String>);

/// Shows their names.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Given {
    /// What looks secrets up while requests are sent.
    pub(crate) fn lookup(&self) -> Arc<Lookup> {
        let given = self.clone();
        Arc::new(move |name| given.value(name))
    }

    /// No flag gave one.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a secret, without the line break that a file ends with.
    fn value(&self, name: &SecretName) -> Result<String, String> {
        match name {
            SecretName::Env(name) => {
                let value = std::env::var(name).map_err(|_| format!("the variable {name} is not set, or no text"))?;
                if value.is_empty() { Err(format!("the variable {name} is empty")) } else { Ok(value) }
            }
            SecretName::File(path) => from_file(path).map_err(|why| format!("failed to read {path}: {why}")),
            SecretName::Flag(flag) => self.0.get(flag).cloned().ok_or_else(|| {
                let again = if flag == USER_FLAG { "-u USER:PASS".to_owned() } else { format!("-H '{flag}: ..'") };
                format!("it was given by flag, for one run only; give it again: {again}")
            }),
        }
    }

    /// Keeps the value of a header line that is a credential, and gives the line to be stored in its place.
    fn take(&mut self, line: String) -> Result<String, UsageError> {
        let Some((name, value)) = line.split_once(':').filter(|_| literal_credential(&line)) else { return Ok(line) };
        let name = name.trim();
        if http::HeaderValue::from_str(value.trim()).is_err() {
            return Err(UsageError(format!("-H '{name}: ..' holds a character that no header may hold")));
        }
        let flag = name.to_ascii_lowercase();
        let stored = format!("{name}: {}", named(&flag));
        match self.0.insert(flag, value.trim().to_owned()) {
            None => Ok(stored),
            Some(_) => Err(UsageError(format!("-H '{name}: ..' is given twice; a credential has one value"))),
        }
    }

    /// The header line of basic authentication: a password as it is stays here, one that is a secret by name is stored so.
    fn take_user(&mut self, user: String) -> Result<String, UsageError> {
        let wrong =
            |why: &str| Err(UsageError(format!("-u {why}; write USER:PASS, or \"USER:{{{{ env('NAME') }}}}\"")));
        let is_name = |text: &str| text.starts_with("{{") && text.ends_with("}}");
        if user.contains("{{") {
            let password = user.split_once(':').map_or("", |(_, password)| password);
            return match is_name(&user) || is_name(password) {
                true => Ok(format!("Authorization: Basic {user}")),
                false => wrong("holds a part of a password, which would be stored"),
            };
        }
        if !user.contains(':') {
            return wrong("has no colon");
        }
        self.0.insert(USER_FLAG.to_owned(), user);
        Ok(format!("Authorization: Basic {}", named(USER_FLAG)))
    }
}

/// A secret of a file, without the line break at its end. It is read for each request: a pipe would be empty the second time.
fn from_file(path: &str) -> Result<String, String> {
    const MOST: u64 = 1 << 20;
    let known = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !known.is_file() || known.len() > MOST {
        return Err("it is no file of at most 1 MiB; a secret is read for each request, so that a changed one counts"
            .to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() { Err("it is empty".to_owned()) } else { Ok(value.to_owned()) }
}

/// How a credential of a flag is named in a template.
fn named(flag: &str) -> String {
    format!("{{{{ given_by_flag('{flag}') }}}}")
}

fn is_authorization(line: &str) -> bool {
    line.split(':').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("authorization"))
}

/// Lays the headers of flags over those of the last run. Where they are nothing but credentials that those name already,
/// they only give their values.
pub(crate) fn lay_headers(
    headers: Vec<String>,
    user: Option<String>,
    over: &mut Vec<String>,
) -> Result<Given, UsageError> {
    if user.is_some() && headers.iter().any(|line| is_authorization(line)) {
        return Err(UsageError("-u and -H 'Authorization: ..' are two of the same header; give one".to_owned()));
    }
    let mut given = Given::default();
    let headers = headers.into_iter().map(|line| given.take(line)).collect::<Result<Vec<_>, _>>()?;
    let known = headers.iter().all(|line| over.contains(line)) && given.0.len() == headers.len();
    if !headers.is_empty() && !known {
        *over = headers;
    }
    if let Some(user) = user {
        let line = given.take_user(user)?;
        over.retain(|line| !is_authorization(line));
        over.push(line);
    }
    Ok(given)
}

/// The values of credentials that the last run was given by flag, given again.
pub(crate) fn give_again(
    headers: Vec<String>,
    user: Option<String>,
    last: &RequestTemplate,
    imported: &[RequestTemplate],
) -> Result<Given, UsageError> {
    let mut given = Given::default();
    // Jobs of an earlier import may need them too.
    let lines = || imported.iter().chain([last]).flat_map(|template| &template.headers);
    let known = |flag: &str| lines().any(|line| line.contains(&named(flag)));
    for line in headers {
        let name = line.split(':').next().unwrap_or_default().trim().to_owned();
        if !literal_credential(&line) || !known(&name.to_ascii_lowercase()) {
            return Err(UsageError(format!(
                "-H '{name}: ..' is no credential that the last run was given by flag; resume takes nothing else here, and \
                 `haul run` changes requests"
            )));
        }
        given.take(line)?;
    }
    if let Some(user) = user {
        if !known(USER_FLAG) || user.contains("{{") {
            return Err(UsageError(
                "-u was not given to the last run as it is; `haul run` changes requests".to_owned(),
            ));
        }
        given.take_user(user)?;
    }
    Ok(given)
}

/// A secret that is missing, or that would have to be stored, is refused before the first request.
pub(crate) fn check(settings: &Settings, given: &Given) -> anyhow::Result<()> {
    if let Some(name) = settings.template.url.as_deref().and_then(literal_credential_in_url) {
        let text = format!(
            "--url '..{name}=..' holds a secret, which would be stored; name it instead: {name}={{{{ env('NAME') }}}} \
             (a variable) or {{{{ file('PATH') }}}}"
        );
        return Err(UsageError(text).into());
    }
    check_template(&settings.template, given)
}

/// Jobs that wait may have been made by other request flags, which name other secrets.
pub(crate) async fn check_imported(store: &Database, given: &Given) -> anyhow::Result<()> {
    for json in store.templates().await? {
        let template = serde_json::from_str(&json).context("failed to read the request flags of an import")?;
        if let Err(missing) = check_template(&template, given)
            && store.waits_for_template(&json).await?
        {
            return Err(missing);
        }
    }
    Ok(())
}

fn check_template(template: &RequestTemplate, given: &Given) -> anyhow::Result<()> {
    for name in Template::compile(template)?.secrets() {
        given.value(name).map_err(|why| UsageError(format!("a secret of the request is missing: {why}")))?;
    }
    Ok(())
}
