//! The admin API has no keys yet and listens on loopback only; this keeps web pages from reaching it through a
//! browser on the same machine. A foreign `Origin` may not act, and a `Host` that is no loopback name is a rebound
//! one.

use super::error::ApiError;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::IpAddr;

/// Refuses what a foreign page sent.
pub async fn own_pages_only(request: Request, next: Next) -> Result<Response, ApiError> {
    let acts = !matches!(*request.method(), Method::GET | Method::HEAD);
    check(request.headers(), acts)?;
    Ok(next.run(request).await)
}

fn check(headers: &HeaderMap, acts: bool) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(host) = text(header::HOST)
        && !is_loopback(host)
    {
        let why = format!("Host: {host} is no loopback name; use 127.0.0.1 or localhost");
        return Err(ApiError::Forbidden(why));
    }
    match text(header::ORIGIN) {
        Some(origin) if acts && !origin.split_once("://").is_some_and(|(_, host)| is_loopback(host)) => {
            Err(ApiError::Forbidden(format!("Origin: {origin} may not act on this node")))
        }
        _ => Ok(()),
    }
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
        check(&headers, acts).is_err()
    }

    #[test]
    fn foreign_pages_and_rebound_names_are_refused() {
        for own in ["127.0.0.1:1337", "localhost", "LOCALHOST:80", "[::1]:1337", "127.8.8.8"] {
            assert!(!refused(&[(header::HOST, own)], true), "{own}");
        }
        for foreign in ["evil.example", "10.0.0.1:1337", "localhost.evil.example", "[2001:db8::1]"] {
            assert!(refused(&[(header::HOST, foreign)], false), "{foreign}");
        }
        assert!(refused(&[(header::ORIGIN, "http://evil.example")], true));
        assert!(refused(&[(header::ORIGIN, "null")], true));
        assert!(!refused(&[(header::ORIGIN, "http://evil.example")], false));
        assert!(!refused(&[(header::ORIGIN, "http://127.0.0.1:1337")], true));
    }
}
