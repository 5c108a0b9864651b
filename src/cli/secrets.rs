//! Where secrets come from: the environment, and files. Looked up when a request is sent, so that a changed file counts.

use std::sync::Arc;

use anyhow::Context;
use haul::secret::{Lookup, SecretName, literal_credential, literal_credential_in_url};
use haul::settings::{RequestTemplate, Settings};
use haul::store::sqlite::SqliteStore;
use haul::template::Template;

use super::exit::UsageError;

/// The value of a secret, without the line break that a file ends with.
fn value(name: &SecretName) -> Result<String, String> {
    match name {
        SecretName::Env(name) => std::env::var(name).map_err(|_| format!("the variable {name} is not set, or no text")),
        SecretName::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| format!("failed to read {path}: {e}"))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
    }
}

/// What looks secrets up while requests are sent.
pub(crate) fn lookup() -> Arc<Lookup> {
    Arc::new(value)
}

/// A secret that is missing, or that would have to be stored, is refused before the first request.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    if let Some(header) = settings.template.headers.iter().find(|header| literal_credential(header)) {
        let name = header.split(':').next().unwrap_or_default();
        let text = format!(
            "-H '{name}: ..' holds a secret, which would be stored; name it instead: -H \"{name}: {{{{ env('NAME') }}}}\" \
             (a variable) or {{{{ file('PATH') }}}}"
        );
        return Err(UsageError(text).into());
    }
    if let Some(name) = settings.template.url.as_deref().and_then(literal_credential_in_url) {
        let text = format!(
            "--url '..{name}=..' holds a secret, which would be stored; name it instead: {name}={{{{ env('NAME') }}}} \
             (a variable) or {{{{ file('PATH') }}}}"
        );
        return Err(UsageError(text).into());
    }
    check_template(&settings.template)
}

/// Jobs that wait may have been made by other request flags, which name other secrets.
pub(crate) async fn check_imported(store: &SqliteStore) -> anyhow::Result<()> {
    for json in store.templates().await? {
        check_template(&serde_json::from_str(&json).context("failed to read the request flags of an import")?)?;
    }
    Ok(())
}

fn check_template(template: &RequestTemplate) -> anyhow::Result<()> {
    for name in Template::compile(template)?.secrets() {
        value(name).map_err(|why| UsageError(format!("a secret of the request is missing: {why}")))?;
    }
    Ok(())
}
