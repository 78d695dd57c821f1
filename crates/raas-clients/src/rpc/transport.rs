//! One HTTP request, and how it can fail before there is an answer to read.

use super::answer::one_or_many;
use super::classify::classify_status;
use super::config::{EndpointConfig, Limits};
use super::error::{CallError, Reached};
use super::pool::PoolError;
use crate::http;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// Why there is no answer to read.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// Turned away unread, perhaps with the time to wait.
    Busy(Option<Duration>),
    /// Nobody answered, or not in full.
    Dead {
        /// In words, without the address.
        reason: String,
        /// Whether it may have acted on the request.
        reached: Reached,
    },
    /// It answered more than is read.
    TooMuch(String),
    /// It answered, but nothing that can be used.
    Useless(CallError),
}

impl Failure {
    pub(super) fn error(self) -> CallError {
        match self {
            Self::Busy(_) => CallError::Retry { reason: "HTTP status 429".to_owned(), reached: Reached::No },
            Self::Dead { reason, reached } => CallError::Retry { reason, reached },
            Self::TooMuch(what) => CallError::TooMuch(what),
            Self::Useless(error) => error,
        }
    }

    pub(super) fn late(deadline: Duration) -> Self {
        let reason = format!("no answer within {} s", deadline.as_secs_f64());
        Self::Dead { reason, reached: Reached::Perhaps }
    }
}

/// The value of the Authorization header for `token`.
pub(super) fn bearer(token: Option<&str>) -> Result<Option<HeaderValue>, PoolError> {
    let Some(token) = token else { return Ok(None) };
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| PoolError::BadToken)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// An HTTP endpoint's connections.
#[derive(Debug)]
pub(super) struct Http {
    url: Url,
    authorization: Option<HeaderValue>,
    client: reqwest::Client,
    limits: Limits,
}

impl Http {
    pub(super) fn new(config: &EndpointConfig, limits: Limits) -> Result<Self, PoolError> {
        let client = http::trusted(&config.url).map_err(|error| PoolError::Http(error.to_string()))?;
        Ok(Self { url: config.url.clone(), authorization: bearer(config.token.as_deref())?, client, limits })
    }

    /// Sends one body and reads the answer up to the cap, within the deadline.
    pub(super) async fn post(&self, body: &Value) -> Result<Vec<u8>, Failure> {
        let deadline = self.limits.deadline;
        tokio::time::timeout(deadline, self.exchange(body))
            .await
            .unwrap_or_else(|_| Err(Failure::late(deadline)))
    }

    async fn exchange(&self, body: &Value) -> Result<Vec<u8>, Failure> {
        let mut request = self.client.post(self.url.clone()).json(body);
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let response = request.send().await.map_err(|error| {
            let reached = if error.is_connect() { Reached::No } else { Reached::Perhaps };
            Failure::Dead { reason: http::reason(&error), reached }
        })?;
        let status = response.status();
        if status.as_u16() == 429 {
            let seconds =
                response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            return Err(Failure::Busy(seconds.map(Duration::from_secs)));
        }
        let bytes =
            http::read_capped(response, self.limits.response_bytes).await.map_err(|error| match error {
                http::ReadError::TooLarge(cap) => {
                    Failure::TooMuch(format!("an answer of more than {cap} bytes"))
                }
                http::ReadError::Broken(reason) => Failure::Dead { reason, reached: Reached::Perhaps },
            })?;
        // Some servers give JSON-RPC errors with an HTTP error status; their body says more. An overloaded
        // one is not read further.
        let overloaded = matches!(status.as_u16(), 502..=504);
        if status.is_success() || (!overloaded && one_or_many(&bytes).is_ok()) {
            return Ok(bytes);
        }
        Err(match classify_status(status.as_u16()) {
            CallError::Retry { reason, reached } => Failure::Dead { reason, reached },
            CallError::TooMuch(what) => Failure::TooMuch(what),
            other => Failure::Useless(other),
        })
    }
}
