//! Where requests to addresses that others chose may go: providers' and users' URLs must not reach into the
//! node's own network.
//!
//! The check is made where the connection is: on what a name resolves to, on literals, and again on every
//! redirect. No proxy is used, since a proxy would resolve names beyond this check.

use crate::http;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// Most redirects that are followed.
const REDIRECTS: usize = 3;

/// Why a URL is not fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Not parsable.
    #[error("{0:?} is no URL")]
    NotUrl(String),
    /// Neither http nor https, or no host.
    #[error("only http and https URLs with a host are fetched, not {0}")]
    Scheme(String),
    /// A user name or password in the URL.
    #[error("a URL with a user name or password in it is not fetched")]
    Credentials,
    /// An address that is not public.
    #[error("{0} is not a public address; private ones are only reached where the configuration allows them")]
    Private(IpAddr),
    /// The HTTP client cannot start.
    #[error("the HTTP client cannot start: {0}")]
    Client(String),
}

/// Which addresses may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public ones only.
    Public,
    /// All, for a devnet on this machine.
    Everywhere,
}

impl Reach {
    /// From the configuration's `allow_private`.
    #[must_use]
    pub const fn allow_private(allow: bool) -> Self {
        if allow { Self::Everywhere } else { Self::Public }
    }

    fn admits(self, ip: IpAddr) -> bool {
        self == Self::Everywhere || is_public(ip)
    }

    /// Parses and checks a URL as far as it goes without resolving names.
    pub(crate) fn check(self, text: &str) -> Result<Url, GuardError> {
        let url = Url::parse(text).map_err(|_| GuardError::NotUrl(text.chars().take(200).collect()))?;
        self.check_url(&url)?;
        Ok(url)
    }

    fn check_url(self, url: &Url) -> Result<(), GuardError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(GuardError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(GuardError::Credentials);
        }
        let ip = match url.host() {
            None => return Err(GuardError::Scheme(url.scheme().to_owned())),
            Some(Host::Domain(_)) => return Ok(()),
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        };
        if self.admits(ip) { Ok(()) } else { Err(GuardError::Private(ip)) }
    }
}

/// Whether redirects are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// Up to three, each checked.
    Checked,
    /// Never: for requests that act.
    Never,
}

/// A client that connects to nothing that `reach` does not admit.
pub(crate) fn client(reach: Reach, redirects: Redirects) -> Result<reqwest::Client, GuardError> {
    http::install_tls();
    let policy = match redirects {
        Redirects::Never => Policy::none(),
        Redirects::Checked => Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS {
                return attempt.error("too many redirects");
            }
            match reach.check_url(attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(error) => attempt.error(error),
            }
        }),
    };
    reqwest::Client::builder()
        .no_proxy()
        .redirect(policy)
        .dns_resolver(GuardedResolver(reach))
        .connect_timeout(http::CONNECT)
        .user_agent(concat!("raas/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| GuardError::Client(error.to_string()))
}

/// Resolves names and keeps only what may be reached; the connection is made to these very addresses.
#[derive(Clone, Copy, Debug)]
struct GuardedResolver(Reach);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let refused = found.iter().map(SocketAddr::ip).find(|ip| !reach.admits(*ip));
            let admitted: Vec<SocketAddr> =
                found.into_iter().filter(|address| reach.admits(address.ip())).collect();
            match (admitted.is_empty(), refused) {
                (true, Some(ip)) => Err(GuardError::Private(ip).into()),
                _ => Ok(Box::new(admitted.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether an address belongs to the public internet. Addresses that carry another one are judged by it.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        // IPv4-mapped and -compatible (which hold :: and ::1 too), NAT64, 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Local NAT64, discard, Teredo and the special-use block, documentation.
        [0x64, 0xff9b, 1, ..] | [0x100, 0, 0, 0, ..] | [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] => false,
        [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_12_the_nodes_own_network_is_out_of_reach() {
        for ip in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "::7f00:1",
        ] {
            assert!(!is_public(ip.parse().expect(ip)), "{ip}");
        }
        for ip in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
        {
            assert!(is_public(ip.parse().expect(ip)), "{ip}");
        }
    }

    #[test]
    fn fault_12_urls_are_checked_as_written() {
        let public = Reach::Public;
        assert!(public.check("https://example.com/x").is_ok());
        for (bad, why) in [
            ("http://127.1/", "private"),
            ("http://2130706433/", "private"),
            ("http://0x7f.1/", "private"),
            ("http://[::1]:80/", "private"),
            ("http://[::ffff:192.168.0.1]/", "private"),
            ("file:///etc/passwd", "scheme"),
            ("gopher://example.com", "scheme"),
            ("http://a:b@example.com/", "credentials"),
            ("not a url", "url"),
        ] {
            let kind = match public.check(bad) {
                Err(GuardError::Private(_)) => "private",
                Err(GuardError::Scheme(_)) => "scheme",
                Err(GuardError::Credentials) => "credentials",
                Err(GuardError::NotUrl(_)) => "url",
                other => panic!("{bad}: {other:?}"),
            };
            assert_eq!(kind, why, "{bad}");
        }
        assert!(Reach::Everywhere.check("http://127.0.0.1:1/").is_ok());
    }
}
