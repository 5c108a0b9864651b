//! A server behind TLS that is given each connection raw, once the handshake is done. A thread a connection.

use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::tls::certificates;

/// What goes over the connection, decrypted.
pub(super) type Stream = StreamOwned<ServerConnection, TcpStream>;

/// A running server, for as long as the tests run.
pub(super) struct Secure {
    pub(super) url: String,
    /// Connections so far.
    pub(super) connections: Arc<AtomicU64>,
    /// What trusts it.
    pub(super) flags: &'static [&'static str],
    _folder: tempfile::TempDir,
}

impl Secure {
    /// Speaks this protocol, and does this with each connection. `None` where there is no `openssl` to make certificates.
    pub(super) fn start(
        protocol: &str,
        more: &[&'static str],
        serve: impl Fn(&mut Stream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        certificates(folder.path())?;
        let config = Arc::new(config(folder.path(), protocol));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
        let ca = String::leak(folder.path().join("ca.pem").display().to_string());
        let flags = Vec::leak([&["--cacert", ca], more].concat());
        let (serve, connections) = (Arc::new(serve), Arc::new(AtomicU64::new(0)));
        let count = connections.clone();
        std::thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                let (config, serve) = (config.clone(), serve.clone());
                count.fetch_add(1, Ordering::SeqCst);
                // That the client has gone is what most of this is about.
                std::thread::spawn(move || {
                    let tls = ServerConnection::new(config).expect("a configuration");
                    drop(serve(&mut StreamOwned::new(tls, tcp)));
                });
            }
        });
        Some(Self { url, connections, flags, _folder: folder })
    }
}

fn config(folder: &Path, protocol: &str) -> ServerConfig {
    let certificate = CertificateDer::from_pem_file(folder.join("good.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a key that fits");
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    config
}

/// Reads the head of a request of HTTP/1; whether there was one.
pub(super) fn head(stream: &mut Stream) -> io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Ok(false);
        }
        head.push(byte[0]);
    }
    Ok(true)
}
