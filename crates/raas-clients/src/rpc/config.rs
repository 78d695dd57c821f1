//! Where an endpoint is and what bounds its calls.

use std::time::Duration;
use url::Url;

/// Where an endpoint is.
#[derive(Clone)]
pub struct EndpointConfig {
    /// `http`, `https`, `ws` or `wss`, with the path (`/rpc/v1`). Over a WebSocket calls go one by one.
    pub url: Url,
    /// Bearer token, when the endpoint wants one.
    pub token: Option<String>,
    /// A WebSocket of the same endpoint, which only tells that there is a new head.
    pub socket: Option<Url>,
    /// Other bounds than the pool's.
    pub limits: Option<Limits>,
}

impl EndpointConfig {
    /// An endpoint without a token.
    #[must_use]
    pub const fn new(url: Url) -> Self {
        Self { url, token: None, socket: None, limits: None }
    }
}

impl std::fmt::Debug for EndpointConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "redacted");
        let host = |url: &Url| url.host_str().unwrap_or_default().to_owned();
        f.debug_struct("EndpointConfig")
            .field("host", &host(&self.url))
            .field("socket", &self.socket.as_ref().map(host))
            .field("token", &token)
            .field("limits", &self.limits)
            .finish()
    }
}

/// Bounds on every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From sending to the last byte of the answer.
    pub deadline: Duration,
    /// Most bytes of one answer.
    pub response_bytes: usize,
    /// Most calls in one request.
    pub batch: usize,
    /// Most requests to one endpoint at once.
    pub in_flight: usize,
    /// Most calls a second; `None` is no limit until the endpoint turns calls away. Each call of a batch counts.
    pub calls_per_second: Option<u32>,
    /// Whether an endpoint that failed is left alone for a while. Off where there is only one and nobody else to ask.
    pub breaker: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            response_bytes: 32 << 20,
            batch: 50,
            in_flight: 8,
            calls_per_second: None,
            breaker: true,
        }
    }
}
