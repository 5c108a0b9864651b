//! The control: a pace that is known to be wrong, so that the server is seen to catch it.

use std::num::NonZeroU32;

use governor::{Quota, RateLimiter};

/// Sends so many requests at governor's default quota of 20 a second, each as soon as it may.
pub(crate) async fn send_by_default_quota(url: &str, requests: usize) {
    let limiter = RateLimiter::direct(Quota::per_second(NonZeroU32::new(20).expect("20")));
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
    let roots = roots.iter().filter_map(|der| reqwest::Certificate::from_der(der).ok());
    let client = reqwest::Client::builder().no_proxy().tls_certs_merge(roots).build().expect("a client");
    for k in 0..requests {
        limiter.until_ready().await;
        client.get(format!("{url}/{k:04}")).send().await.expect("an answer");
    }
}
