//! Headers whose values a program gives at each send.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::secret::{SecretName, Values};

/// A header whose value is asked for at each send, and kept nowhere.
#[derive(Clone)]
pub struct SecretHeader {
    /// Its name.
    pub name: HeaderName,
    /// Gives its value.
    pub value: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Puts them into a request, in place of those of the same name; their values are not to be quoted.
///
/// # Errors
/// Why one cannot be sent, without its value.
pub(super) fn put(headers: &[SecretHeader], into: &mut HeaderMap, hidden: &mut Values) -> Result<(), String> {
    for SecretHeader { name, value } in headers {
        // It is the program's code; what it leaves half-changed is its own.
        let text = catch_unwind(AssertUnwindSafe(|| value()))
            .map_err(|_| format!("the secret header {name} cannot be sent: its code panicked"))?;
        let mut value =
            HeaderValue::from_str(&text).map_err(|e| format!("the secret header {name} cannot be sent: {e}"))?;
        value.set_sensitive(true);
        hidden.add(SecretName::Flag(name.to_string()), text);
        into.insert(name.clone(), value);
    }
    Ok(())
}
