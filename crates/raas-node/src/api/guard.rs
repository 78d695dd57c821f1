//! Keeps web pages from reaching the admin listener through a browser on the same machine. Only a page of this listener may
//! act: the data listener serves pages of strangers on the same machine. Where no keys are, a `Host` that is no loopback
//! name is a rebound one; where they are, a page has none of them, and the listener may have any name. No answer has CORS
//! headers, so a browser shows none to pages of others.

use super::error::ApiError;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use std::net::IpAddr;

/// Refuses what a foreign page sent.
pub fn own_pages_only(request: &Request, keyed: bool) -> Result<(), ApiError> {
    let acts = !matches!(*request.method(), Method::GET | Method::HEAD);
    check(request.headers(), acts, keyed)
}

fn check(headers: &HeaderMap, acts: bool, keyed: bool) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST);
    if let Some(host) = host
        && !(keyed || is_loopback(host))
    {
        let why = format!("Host: {host} is no loopback name; use 127.0.0.1 or localhost");
        return Err(ApiError::Forbidden(why));
    }
    match text(header::ORIGIN) {
        Some(origin) if acts && !is_of(origin, host) => Err(ApiError::Forbidden(format!(
            "Origin: {origin} may not act on this node; only its own pages may"
        ))),
        _ => Ok(()),
    }
}

/// Whether the page at `origin` came from this `host` and port.
fn is_of(origin: &str, host: Option<&str>) -> bool {
    let place = origin.split_once("://").map(|(_, place)| place);
    place.zip(host).is_some_and(|(place, host)| place.eq_ignore_ascii_case(host))
}

/// Whether `host`, with or without a port, is this machine's own name.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(pairs: &[(header::HeaderName, &'static str)], acts: bool) -> bool {
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.clone(), header::HeaderValue::from_static(value)))
            .collect();
        check(&headers, acts, false).is_err()
    }

    #[test]
    fn foreign_pages_and_rebound_names_are_refused() {
        for own in ["127.0.0.1:1337", "localhost", "LOCALHOST:80", "[::1]:1337", "127.8.8.8"] {
            assert!(!refused(&[(header::HOST, own)], true), "{own}");
        }
        for foreign in ["evil.example", "10.0.0.1:1337", "localhost.evil.example", "[2001:db8::1]"] {
            assert!(refused(&[(header::HOST, foreign)], false), "{foreign}");
        }
        let from =
            |origin, acts| refused(&[(header::HOST, "127.0.0.1:1337"), (header::ORIGIN, origin)], acts);
        let strangers = [
            "http://evil.example",
            "null",
            "http://127.0.0.1:1338",
            "http://127.0.0.1",
            "http://localhost:1337",
        ];
        for stranger in strangers {
            assert!(from(stranger, true), "{stranger}");
            assert!(!from(stranger, false), "{stranger} may read what a browser lets it read: nothing");
        }
        assert!(!from("http://127.0.0.1:1337", true));
        assert!(refused(&[(header::ORIGIN, "http://127.0.0.1:1337")], true), "of whom?");
    }
}
