//! Base URLs out of the binary multiaddrs that miners put on chain.

use crate::address::take_varint;
use std::net::{Ipv4Addr, Ipv6Addr};

const IP4: u64 = 4;
const TCP: u64 = 6;
const IP6: u64 = 41;
const DNS: [u64; 3] = [53, 54, 55];
const P2P: u64 = 421;
const TLS: u64 = 448;
const SNI: u64 = 449;
const WS: u64 = 477;
const WSS: u64 = 478;
const HTTP: u64 = 480;
const HTTPS: u64 = 443;

/// The base URL in a binary multiaddr, without a slash at its end. `None` when nothing in it speaks HTTP: a
/// bare `/tcp/N` is taken as plain HTTP, since the protocols above it are not told.
#[must_use]
pub fn http_url(multiaddr: &[u8]) -> Option<String> {
    ranked_url(multiaddr).map(|(_, url)| url)
}

/// The URL with its rank, the best first: https, wss, http, ws, a bare port.
pub(super) fn ranked_url(multiaddr: &[u8]) -> Option<(u8, String)> {
    let mut host = None;
    let mut port = None;
    let mut kind = 4;
    let mut tls = false;
    let mut rest = multiaddr;
    while !rest.is_empty() {
        let (code, after) = take_varint(rest)?;
        rest = after;
        match code {
            IP4 => {
                let (bytes, after) = rest.split_first_chunk::<4>()?;
                host = Some(Ipv4Addr::from(*bytes).to_string());
                rest = after;
            }
            IP6 => {
                let (bytes, after) = rest.split_first_chunk::<16>()?;
                host = Some(format!("[{}]", Ipv6Addr::from(*bytes)));
                rest = after;
            }
            TCP => {
                let (bytes, after) = rest.split_first_chunk::<2>()?;
                port = Some(u16::from_be_bytes(*bytes));
                rest = after;
            }
            code if DNS.contains(&code) => {
                let (name, after) = sized(rest)?;
                host = Some(host_name(name)?);
                rest = after;
            }
            P2P | SNI => rest = sized(rest)?.1,
            TLS => tls = true,
            HTTPS => kind = 0,
            WSS => kind = 1,
            HTTP => kind = if tls { 0 } else { 2 },
            WS => kind = if tls { 1 } else { 3 },
            _ => return None,
        }
    }
    let (host, port) = (host?, port?);
    let (scheme, usual) = if kind <= 1 { ("https", 443) } else { ("http", 80) };
    let url = if port == usual { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") };
    Some((kind, url))
}

/// A value with its length in front.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = take_varint(bytes)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// A DNS name: nothing that could change the meaning of a URL.
fn host_name(bytes: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(bytes).ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (!name.is_empty() && name.len() <= 253 && name.bytes().all(plain)).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(hex: &str) -> Option<String> {
        http_url(&hex::decode(hex).expect("hex"))
    }

    #[test]
    fn what_speaks_http_has_a_url() {
        // /ip4/127.0.0.1/tcp/8080/http
        assert_eq!(url("047f000001061f90e003").as_deref(), Some("http://127.0.0.1:8080"));
        // /dns/sp.example/tcp/443/wss, as Curio writes it
        assert_eq!(url("350a73702e6578616d706c650601bbde03").as_deref(), Some("https://sp.example"));
        // /dns4/sp.example/tcp/8443/https
        assert_eq!(url("360a73702e6578616d706c650620fbbb03").as_deref(), Some("https://sp.example:8443"));
        // /ip6/::1/tcp/80/http
        assert_eq!(
            url("290000000000000000000000000000000106 0050e003".replace(' ', "").as_str()).as_deref(),
            Some("http://[::1]")
        );
        // /dns/sp.example/tcp/443/tls/ws
        assert_eq!(url("350a73702e6578616d706c650601bbc003dd03").as_deref(), Some("https://sp.example"));
        // /ip4/10.0.0.1/tcp/24001, no more said
        assert_eq!(url("040a000001065dc1").as_deref(), Some("http://10.0.0.1:24001"));
    }

    #[test]
    fn quic_truncated_and_forged_names_have_none() {
        // /ip4/1.2.3.4/udp/1/quic-v1
        assert_eq!(url("0401020304910200 01cd03".replace(' ', "").as_str()), None);
        for bad in ["", "04", "047f0000", "047f000001", "06", "ff"] {
            assert_eq!(url(bad), None, "{bad}");
        }
        // /dns/a@b/tcp/80/http
        assert_eq!(url("350361406206 0050e003".replace(' ', "").as_str()), None);
    }
}
