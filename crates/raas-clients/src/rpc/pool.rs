//! Several endpoints, of which `wanted` must say the same before bad news is believed.
//!
//! Good news (a deal is there, no sector is faulty) may come from one endpoint. Bad news needs `wanted` equal
//! voices and not one against it: a single endpoint that lost its state must not cause an order.

use super::config::{EndpointConfig, Limits};
use super::endpoint::Endpoint;
use super::error::{CallError, Evidence, Unknown};
use super::reply::Reply;
use super::sight::{Abilities, Sight};
use crate::filecoin::{Identity, TipSet};
use futures_util::future::join_all;
use raas_core::endpoint::EndpointSeen;
use raas_core::units::Epoch;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// One call: a method and its positional parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    method: &'static str,
    params: Vec<Value>,
    height: Option<i64>,
}

impl Call {
    /// A call of `method` with `params` in order.
    #[must_use]
    pub const fn new(method: &'static str, params: Vec<Value>) -> Self {
        Self { method, params, height: None }
    }

    /// The same, about the state of `height`: endpoints that are known not to keep it are asked last.
    #[must_use]
    pub const fn at_height(mut self, height: i64) -> Self {
        self.height = Some(height);
        self
    }

    pub(super) const fn height(&self) -> Option<i64> {
        self.height
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
    /// Not a URL that can be used.
    #[error(
        "{0}: an RPC endpoint's URL begins with http, https, ws or wss, and only a ws or wss URL can stand beside it"
    )]
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
    expected: Arc<OnceLock<Identity>>,
    heads: Arc<Notify>,
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
        let (expected, heads) = (Arc::new(OnceLock::new()), Arc::new(Notify::new()));
        let names = names(endpoints);
        let endpoints: Result<Vec<_>, _> = endpoints
            .iter()
            .zip(names)
            .map(|(config, name)| Endpoint::new(config, name, limits, Arc::clone(&expected), &heads))
            .collect();
        Ok(Self { endpoints: endpoints?.into(), wanted, expected, heads })
    }

    /// From now on every endpoint must serve this network: it is asked for it before anything else, again after each
    /// failure to reach it and before a transaction leaves, and one of another network is not used. Only the first
    /// call counts.
    pub fn expect_network(&self, identity: &Identity) {
        // A second call says the same, or is a defect that the first one's checks will show.
        let _ = self.expected.set(identity.clone());
    }

    /// The network that every endpoint must serve, if that is settled.
    #[must_use]
    pub fn expected_network(&self) -> Option<&Identity> {
        self.expected.get()
    }

    /// Notified when a WebSocket tells of a new head, or could have.
    #[must_use]
    pub fn heads(&self) -> Arc<Notify> {
        Arc::clone(&self.heads)
    }

    /// Listens for new heads on every WebSocket, for as long as it runs.
    pub async fn listen(&self) {
        let sockets = self.endpoints.iter().filter_map(Endpoint::socket);
        join_all(sockets.map(|socket| socket.follow_heads())).await;
        std::future::pending().await
    }

    /// Tries to open every WebSocket: the endpoint's name, and why not.
    pub async fn try_sockets(&self) -> Vec<(String, Option<String>)> {
        let sockets = self.endpoints.iter().filter_map(|end| Some((end.name().to_owned(), end.socket()?)));
        join_all(sockets.map(|(name, socket)| async move {
            (name, socket.connect().await.err().map(|failure| failure.error().to_string()))
        }))
        .await
    }

    /// The heads of the endpoints that tell them.
    pub async fn heads_now(&self) -> Vec<i64> {
        let heads = self.ask_all(&Call::new("Filecoin.ChainHead", vec![])).await;
        heads.into_iter().filter_map(|head| Some(head.ok()?.read::<TipSet>().ok()?.height)).collect()
    }

    /// How each endpoint stands.
    #[must_use]
    pub fn seen(&self) -> Vec<EndpointSeen> {
        self.endpoints.iter().map(Endpoint::seen).collect()
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

    /// Hosts and ports, for people.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.endpoints.iter().map(Endpoint::name)
    }

    /// Positions of the endpoints, those that failed lately last.
    pub(crate) fn order(&self) -> Vec<usize> {
        self.order_for(&[])
    }

    /// The same, and after all others those that are known not to keep what one of `calls` is about.
    fn order_for(&self, calls: &[Call]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.endpoints.len()).collect();
        order.sort_by_key(|at| {
            let endpoint = self.endpoints.get(*at);
            (endpoint.is_none_or(|endpoint| endpoint.lacks(calls)), endpoint.is_none_or(Endpoint::is_behind))
        });
        order
    }

    /// How many blocks of logs endpoint `at` gives at once at most, as far as that is known.
    pub(crate) fn log_blocks(&self, at: usize) -> Option<i64> {
        self.endpoints.get(at)?.log_blocks()
    }

    /// Notes that endpoint `at` gives at most so many blocks of logs at once.
    pub(crate) fn learn_log_blocks(&self, at: usize, most: i64) {
        if let Some(endpoint) = self.endpoints.get(at) {
            endpoint.learn_log_blocks(most);
        }
    }

    /// Whether endpoint `at` has not failed lately.
    pub(crate) fn is_available(&self, at: usize) -> bool {
        self.endpoints.get(at).is_some_and(Endpoint::is_available)
    }

    /// What endpoint `at` showed of the chain.
    pub(crate) fn sight(&self, at: usize) -> Option<Arc<Sight>> {
        self.endpoints.get(at)?.sight()
    }

    pub(crate) fn note_sight(&self, at: usize, sight: Arc<Sight>) {
        if let Some(endpoint) = self.endpoints.get(at) {
            endpoint.note_sight(sight);
        }
    }

    /// Notes that the head of endpoint `at` cannot be believed, with where it should be, or that it can.
    pub(crate) fn note_off(&self, at: usize, off: Option<(Epoch, Epoch)>) {
        if let Some(endpoint) = self.endpoints.get(at) {
            endpoint.note_off(off);
        }
    }

    pub(crate) fn abilities(&self, at: usize) -> Option<Abilities> {
        self.endpoints.get(at)?.abilities()
    }

    pub(crate) fn note_abilities(&self, at: usize, abilities: Abilities) {
        if let Some(endpoint) = self.endpoints.get(at) {
            endpoint.note_abilities(abilities);
        }
    }

    /// Asks endpoint `at` alone.
    pub(crate) async fn ask_at(&self, at: usize, call: &Call) -> Result<Reply, CallError> {
        let mut answers = self.ask_many_at(at, &[call], false).await;
        answers.pop().unwrap_or_else(|| Err(CallError::malformed("no answer")))
    }

    /// Asks endpoint `at` alone for several things; `needed` although it failed lately.
    pub(crate) async fn ask_many_at(
        &self,
        at: usize,
        calls: &[&Call],
        needed: bool,
    ) -> Vec<Result<Reply, CallError>> {
        match self.endpoints.get(at) {
            Some(endpoint) => endpoint.ask(calls, needed).await,
            None => vec![Err(CallError::malformed("there is no such endpoint")); calls.len()],
        }
    }

    /// Asks endpoint `at` whatever network it serves.
    pub(crate) async fn ask_stranger(&self, at: usize, calls: &[&Call]) -> Vec<Result<Reply, CallError>> {
        match self.endpoints.get(at) {
            Some(endpoint) => endpoint.ask_stranger(calls).await,
            None => vec![Err(CallError::malformed("there is no such endpoint")); calls.len()],
        }
    }

    /// Asks all endpoints at once; answers stand in the endpoints' order.
    pub(crate) async fn ask_all(&self, call: &Call) -> Vec<Result<Reply, CallError>> {
        join_all((0..self.endpoints.len()).map(|at| self.ask_at(at, call))).await
    }

    /// The first usable answer. Evidence in place of an answer counts only when `wanted` endpoints give it.
    pub async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, CallError> {
        let mut answers = self
            .votes(&[call], |_, answer| Ok(answer), |answer: &Result<Reply, Evidence>| answer.is_ok())
            .await;
        let value = answers.pop().unwrap_or_else(|| Err(CallError::malformed("no answer")))?;
        value.map_err(CallError::Evidence).and_then(|value| value.read())
    }

    /// An answer that `wanted` endpoints give alike.
    pub async fn agreed<T: DeserializeOwned + PartialEq + Clone>(&self, call: Call) -> Result<T, CallError> {
        let parse = |_, answer: Result<Reply, Evidence>| {
            answer
                .map(|value| value.read::<T>())
                .map_or_else(|evidence| Ok(Err(evidence)), |value| value.map(Ok))
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
        P: Fn(usize, Result<Reply, Evidence>) -> Result<T, CallError>,
        A: Fn(&T) -> bool,
    {
        let mut tallies: Vec<Tally<T>> = calls.iter().map(|_| Tally::default()).collect();
        for at in self.order_for(calls) {
            let open: Vec<(usize, &Call)> = calls
                .iter()
                .enumerate()
                .filter(|(call, _)| {
                    tallies.get(*call).is_some_and(|tally| !tally.settled(self.wanted, &alone))
                })
                .collect();
            let Some(endpoint) = self.endpoints.get(at).filter(|_| !open.is_empty()) else { break };
            let asked: Vec<&Call> = open.iter().map(|(_, call)| *call).collect();
            let answers = endpoint.ask(&asked, false).await;
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

/// A name for each endpoint: host and port, with a number where several have the same.
fn names(endpoints: &[EndpointConfig]) -> Vec<String> {
    let hosts: Vec<String> = endpoints
        .iter()
        .map(|config| {
            let host = config.url.host_str().unwrap_or("endpoint");
            config.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
        })
        .collect();
    let numbered = |(at, host): (usize, &String)| {
        let same = |hosts: &[String]| hosts.iter().filter(|other| *other == host).count();
        if same(&hosts) == 1 { host.clone() } else { format!("{host}#{}", same(&hosts[..=at])) }
    };
    hosts.iter().enumerate().map(numbered).collect()
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
