//! Headers whose values a program gives at each send.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// A header whose value is asked for at each send, and kept nowhere.
#[derive(Clone)]
pub struct SecretHeader {
    /// Its name.
    pub name: HeaderName,
    /// Gives its value.
    pub value: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Puts them into a request, in place of those of the same name.
///
/// # Errors
/// Why one cannot be sent, without its value.
pub(super) fn put(headers: &[SecretHeader], into: &mut HeaderMap) -> Result<(), String> {
    for SecretHeader { name, value } in headers {
        // It is the program's code; what it leaves half-changed is its own.
        let value = catch_unwind(AssertUnwindSafe(|| value()))
            .map_err(|_| format!("the secret header {name} cannot be sent: its code panicked"))?;
        let mut value =
            HeaderValue::from_str(&value).map_err(|e| format!("the secret header {name} cannot be sent: {e}"))?;
        value.set_sensitive(true);
        into.insert(name.clone(), value);
    }
    Ok(())
}
