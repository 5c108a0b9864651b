//! The HTTP client: whom it trusts, and the proxy it goes through.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::{Certificate, Proxy, Url};

use super::connection;
use super::public_resolver::PublicResolver;
use crate::secret::{Lookup, resolve};
use crate::settings::Settings;
use crate::template;

/// Why there is no client. Told before anything is sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The file of certificates cannot be used.
    #[error("--cacert {path} cannot be used: {why}", path = path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// The proxy cannot be used.
    #[error("--proxy {why}")]
    Proxy {
        /// What is wrong with it, and what would be right; without its credentials.
        why: String,
    },
    /// The TLS library cannot start.
    #[error("failed to set up the HTTP client")]
    Client(#[from] reqwest::Error),
}

/// A client that sends exactly what it is told: no redirect, no retry of its own, and no proxy but the one of `settings`.
/// It keeps at most `idle` connections to a host for later requests.
pub(super) fn client(settings: &Settings, secrets: &Lookup, idle: usize) -> Result<reqwest::Client, SetupError> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
    let mut roots: Vec<_> = roots.iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
    if let Some(path) = &settings.ca_file {
        roots.extend(certificates(path)?);
    }
    let builder = reqwest::Client::builder()
        .user_agent(concat!("haul/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy() // whatever the environment says
        .tls_certs_merge(roots) // a machine without a CA bundle could send nothing, not even plain HTTP
        .tls_danger_accept_invalid_certs(settings.insecure)
        .connect_timeout(settings.connect_timeout)
        .pool_max_idle_per_host(idle)
        .connector_layer(connection::Watch);
    let builder = match &settings.proxy {
        Some(text) => builder.proxy(proxy(text, secrets)?), // which looks names up itself
        None if settings.guard.block_private => builder.dns_resolver(Arc::new(PublicResolver(settings.guard.clone()))),
        None => builder,
    };
    Ok(builder.build()?)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, SetupError> {
    let wrong = |why: String| SetupError::CaFile { path: path.to_owned(), why };
    let text = std::fs::read(path).map_err(|e| wrong(format!("failed to read it: {e}")))?;
    let found = Certificate::from_pem_bundle(&text).unwrap_or_default();
    if found.is_empty() {
        return Err(wrong("it holds no certificates in PEM (-----BEGIN CERTIFICATE-----)".to_owned()));
    }
    Ok(found)
}

/// Reads the setting; its credentials come from secrets.
fn proxy(text: &str, secrets: &Lookup) -> Result<Proxy, SetupError> {
    let wrong = |why: &str| SetupError::Proxy { why: why.to_owned() };
    const HOW: &str = "is no URL of a proxy: write http://HOST:PORT or https://HOST:PORT";
    let stored = template::constant_url("--proxy", text).map_err(|e| wrong(&format!("cannot be used: {}", e.why)))?;
    if is_literal_credential(&stored) {
        return Err(wrong(
            "holds a user or password, which would be stored; name them instead: \
             http://{{ env('PROXY_USER') }}:{{ env('PROXY_PASSWORD') }}@HOST:PORT",
        ));
    }
    let resolved = resolve(&stored, secrets).map_err(|why| wrong(&format!("names a secret that is missing: {why}")))?;
    let url = Url::parse(&resolved).map_err(|_| wrong(HOW))?;
    if url.scheme().starts_with("socks") {
        return Err(wrong("names a SOCKS proxy, which haul cannot use: write http://HOST:PORT or https://HOST:PORT"));
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong(HOW));
    }
    Proxy::all(url).map_err(|_| wrong(HOW))
}

/// Whether what stands before the host is there in clear.
fn is_literal_credential(stored: &str) -> bool {
    let authority = stored.split_once("://").map_or(stored, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return false };
    let mut pieces = template::pieces(user);
    pieces.any(|piece| matches!(piece, template::Piece::Text(text) if !text.trim_matches(':').is_empty()))
}
