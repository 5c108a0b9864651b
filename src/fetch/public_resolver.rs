//! Looks names up, and leaves out the addresses that [`Guard`] forbids: what was looked up is what is connected to, so a name
//! cannot point elsewhere between the check and the connection.

use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::settings::guard::Guard;

/// The system's resolver, behind a guard.
pub(super) struct PublicResolver(pub(super) Guard);

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let (mut allowed, mut blocked) = (Vec::new(), None);
            for address in found {
                match guard.check_address(&host, address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(why) => blocked = Some(why),
                }
            }
            match (allowed.is_empty(), blocked) {
                (true, Some(blocked)) => Err(blocked.into()),
                (true, None) => Err(io::Error::from(io::ErrorKind::NotFound).into()),
                (false, _) => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}
