//! Which servers a run may send to, so that a row of somebody else's input cannot reach into one's own network.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr}; // addresses alone, without sockets
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Hosts that may be sent to. The default allows all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Guard {
    /// Only these; empty = all.
    pub allow_hosts: Vec<HostPattern>,
    /// Only addresses of the public internet.
    pub block_private: bool,
}

/// Why a server is not sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// No pattern allows it.
    #[error("{0} is none of the hosts that --allow-hosts names")]
    Host(String),
    /// It has only addresses that `--block-private` forbids.
    #[error("{host} is at {address}, {kind}, which --block-private forbids")]
    Private {
        /// The name, or the address itself.
        host: String,
        /// One of its addresses.
        address: IpAddr,
        /// What kind of address that is.
        kind: &'static str,
    },
}

impl Guard {
    /// Whether this host may be asked, as far as its name tells. Where the name is an address, that is looked at too; the
    /// addresses of any other name are for [`Guard::check_address`], once they are known.
    ///
    /// `host` is normalised as in a parsed URL: in lower case, IDNA as ASCII, addresses in their usual form.
    ///
    /// # Errors
    /// Why not.
    pub fn check_host(&self, host: &str, port: u16) -> Result<(), Blocked> {
        if !self.allow_hosts.is_empty() && !self.allow_hosts.iter().any(|pattern| pattern.matches(host, port)) {
            return Err(Blocked::Host(host.to_owned()));
        }
        match host.trim_matches(['[', ']']).parse() {
            Ok(address) => self.check_address(host, address),
            Err(_) => Ok(()),
        }
    }

    /// Whether this address of `host` may be connected to.
    ///
    /// # Errors
    /// Why not.
    pub fn check_address(&self, host: &str, address: IpAddr) -> Result<(), Blocked> {
        match kind(address).filter(|_| self.block_private) {
            Some(kind) => Err(Blocked::Private { host: host.to_owned(), address, kind }),
            None => Ok(()),
        }
    }
}

/// Whether this host is an address that is only good on one's own link, where machines find their own credentials.
#[must_use]
pub fn is_link_local(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse();
    address.is_ok_and(|address| kind(address) == Some(LINK_LOCAL))
}

const LINK_LOCAL: &str = "a link-local address";

/// What an address is, unless it belongs to the public internet: the special-purpose registries of RFC 6890 as IANA keeps them.
fn kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(ip) => kind_v4(ip),
        IpAddr::V6(ip) => kind_v6(ip),
    }
}

fn kind_v4(ip: Ipv4Addr) -> Option<&'static str> {
    match ip.octets() {
        [127, ..] => Some("a loopback address"),
        [169, 254, ..] => Some(LINK_LOCAL),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("a private address"),
        [100, 64..=127, ..] => Some("an address shared by a provider's customers"),
        [224..=239, ..] => Some("a multicast address"),
        [0 | 240..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Some("a reserved address"),
        _ => None,
    }
}

fn kind_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let segments = ip.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        kind_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        // IPv4 inside: mapped (RFC 4291), translated (RFC 6052) and 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            embedded(high, low)
        }
        [0xfe80..=0xfebf, ..] => Some(LINK_LOCAL),
        [0xfc00..=0xfdff, ..] => Some("a private address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        // Protocol assignments with Teredo, and documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("a reserved address"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("a reserved address"),
    }
}

/// A host that may be sent to: `api.example.com`, `*.example.com` (what is below it), either with `:443`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern {
    /// In lower case; begins with a dot where whatever is below it is meant.
    host: String,
    port: Option<u16>,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no host: write api.example.com, *.example.com (what is below it) or 10.0.0.7, with :PORT where only that is meant"
)]
pub struct HostPatternError(String);

impl HostPattern {
    fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.');
        let same = match self.host.strip_prefix('.') {
            Some(_) => host.ends_with(&self.host) && host.len() > self.host.len(),
            None => host == self.host,
        };
        same && self.port.is_none_or(|only| only == port)
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || HostPatternError(text.to_owned());
        let text = text.trim();
        let literal = text.starts_with('[') || text.matches(':').count() == 1;
        let (host, port) = match text.rsplit_once(':').filter(|(host, _)| literal && !host.ends_with(':')) {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _ => (text, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<Ipv6Addr>() {
            return Ok(Self { host: format!("[{address}]"), port });
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let (dot, name) = host.strip_prefix("*.").map_or(("", host.as_str()), |name| (".", name));
        let fits = |label: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            !label.is_empty() && label.len() < 64 && label.chars().all(known)
        };
        if name.len() > 253 || !name.split('.').all(fits) {
            return Err(wrong());
        }
        Ok(Self { host: format!("{dot}{name}"), port })
    }
}

impl TryFrom<String> for HostPattern {
    type Error = HostPatternError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.host.starts_with('.') { "*" } else { "" };
        write!(f, "{star}{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests;
