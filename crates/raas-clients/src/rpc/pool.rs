//! Several endpoints, of which `wanted` must say the same before bad news is believed.
//!
//! Good news (a deal is there, no sector is faulty) may come from one endpoint. Bad news needs `wanted` equal
//! voices and not one against it: a single endpoint that lost its state must not cause an order.

use super::endpoint::{Endpoint, EndpointConfig, Limits};
use super::error::{CallError, Evidence, Unknown};
use futures_util::future::join_all;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// One call: a method and its positional parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    method: &'static str,
    params: Vec<Value>,
}

impl Call {
    /// A call of `method` with `params` in order.
    #[must_use]
    pub const fn new(method: &'static str, params: Vec<Value>) -> Self {
        Self { method, params }
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        self.method
    }

    pub(super) fn params(&self) -> &[Value] {
        &self.params
    }
}

/// Why a pool cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// No endpoint.
    #[error("at least one RPC endpoint is needed")]
    NoEndpoint,
    /// More must agree than there are, or none.
    #[error("{wanted} of {endpoints} RPC endpoints cannot agree; choose from 1 to {endpoints}")]
    Wanted {
        /// How many shall agree.
        wanted: usize,
        /// How many there are.
        endpoints: usize,
    },
    /// Not an HTTP URL.
    #[error("{0} is no http or https URL of an RPC endpoint")]
    NotHttp(String),
    /// A token that no header can hold.
    #[error("the token of an RPC endpoint has characters that no HTTP header can hold")]
    BadToken,
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot start: {0}")]
    Http(String),
}

/// Endpoints of one chain. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Pool {
    endpoints: Arc<[Endpoint]>,
    wanted: usize,
}

impl Pool {
    /// A pool of `endpoints`, of which `wanted` must agree.
    pub fn new(endpoints: &[EndpointConfig], limits: Limits, wanted: usize) -> Result<Self, PoolError> {
        if endpoints.is_empty() {
            return Err(PoolError::NoEndpoint);
        }
        if wanted == 0 || wanted > endpoints.len() {
            return Err(PoolError::Wanted { wanted, endpoints: endpoints.len() });
        }
        let endpoints: Result<Vec<_>, _> =
            endpoints.iter().map(|config| Endpoint::new(config, limits)).collect();
        Ok(Self { endpoints: endpoints?.into(), wanted })
    }

    /// How many endpoints there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// Never true; a pool has at least one endpoint.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// How many must agree.
    #[must_use]
    pub const fn wanted(&self) -> usize {
        self.wanted
    }

    /// Host names, for people.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.endpoints.iter().map(Endpoint::name)
    }

    /// Positions of the endpoints, those that failed lately last.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.endpoints.len()).collect();
        order.sort_by_key(|at| self.endpoints.get(*at).is_none_or(Endpoint::is_behind));
        order
    }

    /// Asks endpoint `at` alone.
    pub(crate) async fn ask_at(&self, at: usize, call: &Call) -> Result<Value, CallError> {
        let Some(endpoint) = self.endpoints.get(at) else {
            return Err(CallError::malformed("there is no such endpoint"));
        };
        let mut answers = endpoint.ask(&[call]).await;
        answers.pop().unwrap_or_else(|| Err(CallError::malformed("no answer")))
    }

    /// Asks all endpoints at once; answers stand in the endpoints' order.
    pub(crate) async fn ask_all(&self, call: &Call) -> Vec<Result<Value, CallError>> {
        join_all((0..self.endpoints.len()).map(|at| self.ask_at(at, call))).await
    }

    /// The first usable answer. Evidence in place of an answer counts only when `wanted` endpoints give it.
    pub async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, CallError> {
        let mut answers = self
            .votes(&[call], |_, answer| Ok(answer), |answer: &Result<Value, Evidence>| answer.is_ok())
            .await;
        let value = answers.pop().unwrap_or_else(|| Err(CallError::malformed("no answer")))?;
        value.map_err(CallError::Evidence).and_then(|value| from_value(value))
    }

    /// An answer that `wanted` endpoints give alike.
    pub async fn agreed<T: DeserializeOwned + PartialEq + Clone>(&self, call: Call) -> Result<T, CallError> {
        let parse = |_, answer: Result<Value, Evidence>| {
            answer.map(from_value::<T>).map_or_else(|evidence| Ok(Err(evidence)), |value| value.map(Ok))
        };
        let mut answers = self.votes(&[call], parse, |_| false).await;
        let value = answers.pop().unwrap_or_else(|| Err(CallError::malformed("no answer")))?;
        value.map_err(CallError::Evidence)
    }

    /// Puts `calls` to the endpoints in turn until each is settled: by one voice for which `alone` is true, or
    /// by `wanted` equal ones; two different voices are a contradiction. `parse` gets the call's position
    /// and its answer, or the evidence given in place of one; where it gives an error the voice does not count.
    pub(crate) async fn votes<T, P, A>(&self, calls: &[Call], parse: P, alone: A) -> Vec<Result<T, CallError>>
    where
        T: PartialEq,
        P: Fn(usize, Result<Value, Evidence>) -> Result<T, CallError>,
        A: Fn(&T) -> bool,
    {
        let mut tallies: Vec<Tally<T>> = calls.iter().map(|_| Tally::default()).collect();
        for at in self.order() {
            let open: Vec<(usize, &Call)> = calls
                .iter()
                .enumerate()
                .filter(|(call, _)| {
                    tallies.get(*call).is_some_and(|tally| !tally.settled(self.wanted, &alone))
                })
                .collect();
            let Some(endpoint) = self.endpoints.get(at).filter(|_| !open.is_empty()) else { break };
            let asked: Vec<&Call> = open.iter().map(|(_, call)| *call).collect();
            let answers = endpoint.ask(&asked).await;
            for ((call, _), answer) in open.iter().zip(answers) {
                let voice = match answer {
                    Ok(value) => parse(*call, Ok(value)),
                    Err(CallError::Evidence(evidence)) => parse(*call, Err(evidence)),
                    Err(error) => Err(error),
                };
                if let Some(tally) = tallies.get_mut(*call) {
                    tally.add(voice);
                }
            }
        }
        tallies.into_iter().map(|tally| tally.finish(self.wanted, &alone)).collect()
    }
}

/// Voices heard about one call.
struct Tally<T> {
    voice: Option<T>,
    count: usize,
    contradicted: bool,
    error: Option<CallError>,
}

impl<T> Default for Tally<T> {
    fn default() -> Self {
        Self { voice: None, count: 0, contradicted: false, error: None }
    }
}

impl<T: PartialEq> Tally<T> {
    fn settled(&self, wanted: usize, alone: &impl Fn(&T) -> bool) -> bool {
        self.contradicted || self.voice.as_ref().is_some_and(|voice| self.count >= wanted || alone(voice))
    }

    fn add(&mut self, voice: Result<T, CallError>) {
        match (voice, &self.voice) {
            (Err(error), _) => {
                // The first error is the best endpoint's; a later one only adds when that one knew nothing.
                let better = !matches!(self.error, Some(CallError::Unknown(_)));
                if better {
                    self.error = Some(error);
                }
            }
            (Ok(voice), None) => {
                self.voice = Some(voice);
                self.count = 1;
            }
            (Ok(voice), Some(first)) if voice == *first => self.count += 1,
            (Ok(_), Some(_)) => self.contradicted = true,
        }
    }

    fn finish(self, wanted: usize, alone: &impl Fn(&T) -> bool) -> Result<T, CallError> {
        if self.contradicted {
            return Err(CallError::Unknown(Unknown::Contradiction));
        }
        match self.voice {
            Some(voice) if self.count >= wanted || alone(&voice) => Ok(voice),
            Some(_) => Err(self.error.unwrap_or(CallError::Unknown(Unknown::Unconfirmed))),
            None => Err(self.error.unwrap_or_else(|| CallError::malformed("no endpoint was asked"))),
        }
    }
}

/// Reads a result as `T`.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, CallError> {
    serde_json::from_value(value).map_err(CallError::malformed)
}
