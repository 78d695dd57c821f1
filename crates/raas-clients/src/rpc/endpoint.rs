//! One endpoint: bounded in time, bytes and requests in flight; it remembers what it does not offer.

use super::classify::{ErrorObject, classify, classify_status};
use super::error::{CallError, Reached, Unknown};
use super::pool::{Call, PoolError};
use crate::http;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use url::Url;

/// A method that was refused as unknown is asked for again after this long: gateways change.
const NOT_OFFERED_FOR: Duration = Duration::from_secs(600);
/// An endpoint that failed stands behind the others for this long.
const BEHIND_FOR: Duration = Duration::from_secs(30);

/// Where an endpoint is.
#[derive(Clone)]
pub struct EndpointConfig {
    /// `http` or `https`, with the path (`/rpc/v1`).
    pub url: Url,
    /// Bearer token, when the endpoint wants one.
    pub token: Option<String>,
}

impl EndpointConfig {
    /// An endpoint without a token.
    #[must_use]
    pub const fn new(url: Url) -> Self {
        Self { url, token: None }
    }
}

impl std::fmt::Debug for EndpointConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "redacted");
        f.debug_struct("EndpointConfig").field("url", &self.url.as_str()).field("token", &token).finish()
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
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), response_bytes: 32 << 20, batch: 50, in_flight: 8 }
    }
}

/// One endpoint with its connections.
#[derive(Debug)]
pub(super) struct Endpoint {
    url: Url,
    authorization: Option<HeaderValue>,
    http: reqwest::Client,
    limits: Limits,
    permits: Semaphore,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    not_offered: HashMap<String, Instant>,
    failed_at: Option<Instant>,
    /// It refused a batch as such.
    batchless: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error: Option<ErrorObject>,
}

impl Endpoint {
    pub(super) fn new(config: &EndpointConfig, limits: Limits) -> Result<Self, PoolError> {
        if !matches!(config.url.scheme(), "http" | "https") || config.url.host().is_none() {
            return Err(PoolError::NotHttp(config.url.to_string()));
        }
        let authorization = match &config.token {
            None => None,
            Some(token) => {
                let mut value =
                    HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| PoolError::BadToken)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let http = http::trusted(&config.url).map_err(|error| PoolError::Http(error.to_string()))?;
        let permits = Semaphore::new(limits.in_flight.max(1));
        Ok(Self { url: config.url.clone(), authorization, http, limits, permits, memory: Mutex::default() })
    }

    /// The host, for people; never the path, which may hold a key.
    pub(super) fn name(&self) -> &str {
        self.url.host_str().unwrap_or("endpoint")
    }

    /// Whether it failed lately and should stand behind the others.
    pub(super) fn is_behind(&self) -> bool {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.failed_at.is_some_and(|at| at.elapsed() < BEHIND_FOR)
    }

    /// One answer per call, in the same order. A single call is never repeated; an endpoint that refuses batches
    /// as such is asked call by call, from then on.
    pub(super) async fn ask(&self, calls: &[&Call]) -> Vec<Result<Value, CallError>> {
        let mut answers = Vec::with_capacity(calls.len());
        for chunk in calls.chunks(self.limits.batch.clamp(1, 50)) {
            if chunk.len() > 1 && !self.is_batchless() {
                let together = self.ask_chunk(chunk).await;
                if !self.is_batchless() {
                    answers.extend(together);
                    continue;
                }
            }
            for call in chunk {
                answers.extend(self.ask_chunk(&[*call]).await);
            }
        }
        answers
    }

    fn is_batchless(&self) -> bool {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).batchless
    }

    async fn ask_chunk(&self, calls: &[&Call]) -> Vec<Result<Value, CallError>> {
        let mut answers: Vec<Option<Result<Value, CallError>>> =
            calls.iter().map(|call| self.known_missing(call.method()).map(Err)).collect();
        let open: Vec<(usize, &Call)> = calls
            .iter()
            .enumerate()
            .filter(|(at, _)| matches!(answers.get(*at), Some(None)))
            .map(|(at, call)| (at, *call))
            .collect();
        let mut requests: Vec<Value> = open
            .iter()
            .map(|(at, call)| json!({"jsonrpc": "2.0", "id": at, "method": call.method(), "params": call.params()}))
            .collect();
        let sent = match requests.len() {
            0 => Ok(Vec::new()),
            1 => self.post(&requests.remove(0)).await.and_then(|body| one_or_many(&body)),
            _ => self.post(&Value::Array(requests)).await.and_then(|body| one_or_many(&body)),
        };
        match sent {
            Err(error) => fill(&mut answers, &error),
            Ok(many) => {
                for answer in many {
                    let at = answer.id.as_u64().and_then(|id| usize::try_from(id).ok());
                    // A whole batch refused as one has no id: the refusal then counts for each.
                    let Some((slot, call)) = at.and_then(|at| Some((answers.get_mut(at)?, calls.get(at)?)))
                    else {
                        if let Some(error) = answer.error {
                            let method = open.first().map_or("", |(_, call)| call.method());
                            let error = classify(method, error);
                            if open.len() > 1 && !matches!(error, CallError::Retry { .. }) {
                                let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                                memory.batchless = true;
                            }
                            fill(&mut answers, &error);
                        }
                        continue;
                    };
                    *slot = Some(match answer.error {
                        None => Ok(answer.result),
                        Some(error) => Err(self.remember(call.method(), classify(call.method(), error))),
                    });
                }
            }
        }
        let absent = || Err(CallError::malformed("the answer has no result for this call"));
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.unwrap_or_else(absent)).collect();
        self.note(&answers);
        answers
    }

    /// Sends one body and reads the answer up to the cap.
    async fn post(&self, body: &Value) -> Result<Vec<u8>, CallError> {
        // Waiting for a turn does not count against the deadline: what was not sent has not failed.
        let _permit = self.permits.acquire().await;
        let wait = async {
            let mut request = self.http.post(self.url.clone()).json(body);
            if let Some(value) = &self.authorization {
                request = request.header(AUTHORIZATION, value.clone());
            }
            let response = request.send().await.map_err(|error| transport(&error))?;
            let status = response.status();
            let bytes =
                http::read_capped(response, self.limits.response_bytes).await.map_err(
                    |error| match error {
                        http::ReadError::TooLarge(cap) => {
                            CallError::malformed(format!("an answer of more than {cap} bytes"))
                        }
                        http::ReadError::Broken(reason) => {
                            CallError::Retry { reason, reached: Reached::Perhaps }
                        }
                    },
                )?;
            // Some servers give JSON-RPC errors with an HTTP error status; their body says more. An overloaded
            // one is not read further.
            let overloaded = matches!(status.as_u16(), 429 | 502..=504);
            if status.is_success() || (!overloaded && one_or_many(&bytes).is_ok()) {
                Ok(bytes)
            } else {
                Err(classify_status(status.as_u16()))
            }
        };
        tokio::time::timeout(self.limits.deadline, wait).await.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", self.limits.deadline.as_secs());
            Err(CallError::Retry { reason, reached: Reached::Perhaps })
        })
    }

    /// Remembers whether the endpoint can be asked at all: a busy one stands behind the others too.
    fn note(&self, answers: &[Result<Value, CallError>]) {
        let busy = answers.iter().find_map(|answer| match answer {
            Err(CallError::Retry { reason, .. }) => Some(reason),
            _ => None,
        });
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match busy {
            Some(reason) => {
                if memory.failed_at.is_none() {
                    tracing::warn!(endpoint = self.name(), reason, "an endpoint does not answer");
                }
                memory.failed_at = Some(Instant::now());
            }
            None => memory.failed_at = None,
        }
    }

    fn remember(&self, method: &str, error: CallError) -> CallError {
        if matches!(error, CallError::Unknown(Unknown::NotOffered(_))) {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.not_offered.insert(method.to_owned(), Instant::now());
        }
        error
    }

    fn known_missing(&self, method: &str) -> Option<CallError> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let since = memory.not_offered.get(method)?;
        (since.elapsed() < NOT_OFFERED_FOR)
            .then(|| CallError::Unknown(Unknown::NotOffered(method.to_owned())))
    }
}

fn fill(answers: &mut [Option<Result<Value, CallError>>], error: &CallError) {
    for answer in answers.iter_mut().filter(|answer| answer.is_none()) {
        *answer = Some(Err(error.clone()));
    }
}

fn one_or_many(body: &[u8]) -> Result<Vec<Answer>, CallError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Body {
        Many(Vec<Answer>),
        One(Answer),
    }
    match serde_json::from_slice(body) {
        Ok(Body::Many(many)) => Ok(many),
        Ok(Body::One(one)) => Ok(vec![one]),
        Err(error) => Err(CallError::malformed(error)),
    }
}

fn transport(error: &reqwest::Error) -> CallError {
    let reached = if error.is_connect() { Reached::No } else { Reached::Perhaps };
    CallError::Retry { reason: http::reason(error), reached }
}
