//! HTTP clients as this crate builds them, and reading answers with a cap.

use std::sync::Once;
use std::time::Duration;
use url::{Host, Url};

/// How long a connection may take to be made.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// Makes ring the process's TLS provider, once. A second provider, installed by the binary, is left alone.
pub(crate) fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error says that the binary installed one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A client for a server that the admin configured: no redirects; loopback is never reached through a proxy.
pub(crate) fn trusted(url: &Url) -> Result<reqwest::Client, reqwest::Error> {
    install_tls();
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .user_agent(concat!("raas/", env!("CARGO_PKG_VERSION")));
    if loopback { builder.no_proxy().build() } else { builder.build() }
}

/// Why a body could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// Longer than this cap.
    TooLarge(usize),
    /// The connection broke.
    Broken(String),
}

/// The whole body, unless it is longer than `cap` bytes.
pub(crate) async fn read_capped(mut response: reqwest::Response, cap: usize) -> Result<Vec<u8>, ReadError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > cap as u64 {
        return Err(ReadError::TooLarge(cap));
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() <= cap => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(ReadError::TooLarge(cap)),
            Err(error) => return Err(ReadError::Broken(reason(&error))),
        }
    }
}

/// An error with its causes, without the URL, which may hold a secret.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut text = if error.is_connect() {
        "cannot connect".to_owned()
    } else if error.is_timeout() {
        "timed out".to_owned()
    } else {
        "the connection failed".to_owned()
    };
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
