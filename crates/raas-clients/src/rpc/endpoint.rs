//! One endpoint: bounded in time, bytes, requests in flight and calls a second; left alone while it fails; asked for
//! its network before anything else of it is believed.

use super::answer::{Answer, one_or_many};
use super::classify::classify;
use super::config::{EndpointConfig, Limits};
use super::error::{CallError, Reached, Unknown};
use super::memory::{Checked, Memory, foreign_error};
use super::pool::{Call, PoolError};
use super::reply::Reply;
use super::sight::{Abilities, Sight};
use super::socket::Socket;
use super::transport::{Failure, Http, bearer};
use crate::filecoin::{Identity, identity_calls, identity_of};
use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use raas_core::endpoint::EndpointSeen;
use raas_core::units::Epoch;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};

/// A request that was turned away unread is sent so often at most.
const TRIES: u32 = 3;
/// Callers that would wait longer for their turn are told to come back.
const TURN_MAX: Duration = Duration::from_secs(120);
/// Before a transaction leaves, the network is checked again unless that was done so lately.
const CHECKED_FOR_SENDS: Duration = Duration::from_secs(60);
/// Methods that send transactions.
const SENDS: [&str; 2] = ["Filecoin.MpoolPush", "eth_sendRawTransaction"];
/// Most calls in one request, whatever the limits say.
const BATCH_MAX: usize = 50;
/// Batches on their way at once, of those that are asked for together.
const BATCHES_AT_ONCE: usize = 3;

#[derive(Debug)]
enum Transport {
    Http(Http),
    Socket(Arc<Socket>),
}

/// One endpoint with its connections.
#[derive(Debug)]
pub(super) struct Endpoint {
    name: String,
    transport: Transport,
    /// What tells of new heads: the transport itself, or a socket beside it.
    socket: Option<Arc<Socket>>,
    limits: Limits,
    permits: Semaphore,
    memory: Mutex<Memory>,
    /// The network that it must serve, once that is known.
    expected: Arc<OnceLock<Identity>>,
    /// One check of the network at a time.
    checking: tokio::sync::Mutex<()>,
    /// The connection on which the network was checked last.
    checked_on: std::sync::atomic::AtomicU64,
}

impl Endpoint {
    pub(super) fn new(
        config: &EndpointConfig,
        name: String,
        limits: Limits,
        expected: Arc<OnceLock<Identity>>,
        heads: &Arc<Notify>,
    ) -> Result<Self, PoolError> {
        let limits = config.limits.unwrap_or(limits);
        let no_url = || PoolError::NotHttp(name.clone());
        if config.url.host().is_none() {
            return Err(no_url());
        }
        let socket = |url: &url::Url| -> Result<Arc<Socket>, PoolError> {
            let token = bearer(config.token.as_deref())?;
            Ok(Arc::new(Socket::new(url.clone(), token, limits.response_bytes, Arc::clone(heads))))
        };
        let (transport, beside) = match (config.url.scheme(), &config.socket) {
            ("http" | "https", beside) => {
                let beside = match beside {
                    Some(url) if matches!(url.scheme(), "ws" | "wss") => Some(socket(url)?),
                    Some(_) => return Err(no_url()),
                    None => None,
                };
                (Transport::Http(Http::new(config, limits)?), beside)
            }
            ("ws" | "wss", None) => {
                let socket = socket(&config.url)?;
                (Transport::Socket(Arc::clone(&socket)), Some(socket))
            }
            _ => return Err(no_url()),
        };
        Ok(Self {
            memory: Mutex::new(Memory::new(&limits, now())),
            name,
            transport,
            socket: beside,
            limits,
            permits: Semaphore::new(limits.in_flight.max(1)),
            expected,
            checking: tokio::sync::Mutex::default(),
            checked_on: std::sync::atomic::AtomicU64::new(0),
        })
    }

    /// For people; never the path, which may hold a key.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What tells of its new heads.
    pub(super) const fn socket(&self) -> Option<&Arc<Socket>> {
        self.socket.as_ref()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether others should be asked first.
    pub(super) fn is_behind(&self) -> bool {
        self.memory().is_behind(now())
    }

    /// Whether calls go to it without a trial.
    pub(super) fn is_available(&self) -> bool {
        self.memory().is_available()
    }

    pub(super) fn sight(&self) -> Option<Arc<Sight>> {
        self.memory().sight.clone()
    }

    pub(super) fn note_sight(&self, sight: Arc<Sight>) {
        self.memory().sight = Some(sight);
    }

    pub(super) fn note_off(&self, off: Option<(Epoch, Epoch)>) {
        self.memory().set_off(off);
    }

    pub(super) fn learn_log_blocks(&self, most: i64) {
        self.memory().learn_log_blocks(most);
    }

    pub(super) fn log_blocks(&self) -> Option<i64> {
        self.memory().log_blocks()
    }

    /// Whether it is known not to keep what one of `calls` is about.
    pub(super) fn lacks(&self, calls: &[Call]) -> bool {
        let memory = self.memory();
        calls.iter().filter_map(Call::height).min().is_some_and(|oldest| memory.lacks(oldest))
    }

    pub(super) fn abilities(&self) -> Option<Abilities> {
        self.memory().abilities.clone()
    }

    pub(super) fn note_abilities(&self, abilities: Abilities) {
        self.memory().abilities = Some(abilities);
    }

    pub(super) fn seen(&self) -> EndpointSeen {
        let memory = self.memory();
        let sight = memory.sight.as_deref();
        EndpointSeen {
            name: self.name.clone(),
            standing: memory.standing(),
            head: sight.map(|sight| Epoch(sight.head.height)),
            latest: sight.and_then(|sight| sight.latest).map(Epoch),
            safe: sight.and_then(|sight| sight.safe).map(Epoch),
            finalized: sight.map(|sight| Epoch(sight.finalized.height)),
            socket: self.socket.as_ref().map(|socket| socket.is_open()),
            not_offered: memory.missing_methods(),
            state_epochs: memory.abilities.as_ref().map(|able| able.state_epochs),
            log_blocks: memory.log_blocks().or(memory.abilities.as_ref().map(|able| able.log_blocks)),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a positive rate, rounded"
            )]
            calls_per_second: memory.bucket.rate().map(|rate| rate.ceil() as u64),
        }
    }

    /// One answer per call, in the same order. A single call is never repeated once it may have been acted upon; an
    /// endpoint that refuses batches as such is asked call by call, from then on. `needed`: without it there are not
    /// enough, so that it is tried although it failed lately.
    pub(super) async fn ask(&self, calls: &[&Call], needed: bool) -> Vec<Result<Reply, CallError>> {
        let sends = calls.iter().any(|call| SENDS.contains(&call.method()));
        match self.admit(needed, sends).await {
            Ok(()) => {
                let answers = self.ask_admitted(calls).await;
                // A connection that was made meanwhile may lead to another machine, whose word must not count.
                if self.expected.get().is_some()
                    && !self.is_checked_connection()
                    && let Err(error) = self.admit(needed, false).await
                {
                    return vec![Err(error); calls.len()];
                }
                answers
            }
            Err(error) => vec![Err(error); calls.len()],
        }
    }

    /// As [`Endpoint::ask`], whatever network it serves: to find that out.
    pub(super) async fn ask_stranger(&self, calls: &[&Call]) -> Vec<Result<Reply, CallError>> {
        let admitted = self.memory().admit(true, now());
        match admitted {
            Ok(()) => self.ask_admitted(calls).await,
            Err(reason) => vec![Err(CallError::Retry { reason, reached: Reached::No }); calls.len()],
        }
    }

    async fn admit(&self, needed: bool, sends: bool) -> Result<(), CallError> {
        {
            let mut memory = self.memory();
            if self.expected.get().is_some()
                && let Some(found) = memory.foreign(now())
            {
                return Err(foreign_error(found));
            }
            memory
                .admit(needed, now())
                .map_err(|reason| CallError::Retry { reason, reached: Reached::No })?;
        }
        let Some(expected) = self.expected.get() else { return Ok(()) };
        let is_checked = || {
            // What a new connection would be made for is asked over it first.
            let is_open = self.socket_transport().is_none_or(|socket| socket.is_open());
            self.is_checked(sends.then_some(CHECKED_FOR_SENDS)) && (is_open || !sends)
        };
        if is_checked() {
            return Ok(());
        }
        let _one = self.checking.lock().await;
        if is_checked() {
            return Ok(());
        }
        if let Some(socket) = self.socket_transport() {
            socket.connect().await.map_err(|failure| self.note_failure(failure))?;
        }
        let connections = self.connections();
        let calls = identity_calls();
        let answers = self.ask_admitted(&calls.iter().collect::<Vec<_>>()).await;
        let found = identity_of(answers)?;
        if found.is_same_network(expected) {
            self.checked_on.store(connections, std::sync::atomic::Ordering::Release);
            self.memory().checked = Checked::Same(now());
            return Ok(());
        }
        let words = found.to_string();
        tracing::error!(
            endpoint = self.name,
            found = words,
            "an endpoint serves another network; it is not used"
        );
        let error = foreign_error(&words);
        self.memory().checked = Checked::Other(words, now());
        Err(error)
    }

    /// The socket that calls go over, if they do.
    const fn socket_transport(&self) -> Option<&Arc<Socket>> {
        match &self.transport {
            Transport::Http(_) => None,
            Transport::Socket(socket) => Some(socket),
        }
    }

    fn connections(&self) -> u64 {
        self.socket_transport().map_or(0, |socket| socket.connections())
    }

    fn is_checked_connection(&self) -> bool {
        self.checked_on.load(std::sync::atomic::Ordering::Acquire) == self.connections()
    }

    fn is_checked(&self, within: Option<Duration>) -> bool {
        self.is_checked_connection() && self.memory().is_checked(within, now())
    }

    async fn ask_admitted(&self, calls: &[&Call]) -> Vec<Result<Reply, CallError>> {
        let batches = calls.chunks(self.limits.batch.clamp(1, BATCH_MAX));
        // While one is read the next is answered.
        let asked: Vec<BoxFuture<'_, _>> = batches.map(|batch| self.ask_batch(batch).boxed()).collect();
        stream::iter(asked).buffered(BATCHES_AT_ONCE).concat().await
    }

    /// One batch, in parts where it has to be.
    async fn ask_batch(&self, calls: &[&Call]) -> Vec<Result<Reply, CallError>> {
        let mut answers = Vec::with_capacity(calls.len());
        let mut open: Vec<&[&Call]> = vec![calls];
        while let Some(chunk) = open.pop() {
            let many = chunk.len() > 1;
            if many && self.is_batchless() {
                open.extend(chunk.chunks(1).rev());
                continue;
            }
            let together = self.ask_chunk(chunk).await;
            // The answers together may be too much although none alone is.
            let too_much = || together.iter().all(|answer| matches!(answer, Err(CallError::TooMuch(_))));
            if many && !self.is_batchless() && too_much() {
                open.extend(chunk.chunks(chunk.len().div_ceil(2)).rev());
            } else if many && self.is_batchless() {
                open.extend(chunk.chunks(1).rev());
            } else {
                answers.extend(together);
            }
        }
        answers
    }

    fn is_batchless(&self) -> bool {
        self.memory().batchless
    }

    async fn ask_chunk(&self, calls: &[&Call]) -> Vec<Result<Reply, CallError>> {
        let missing = |call: &&Call| {
            let known = self.memory().known_missing(call.method(), now());
            known.then(|| Err(CallError::Unknown(Unknown::NotOffered(call.method().to_owned()))))
        };
        let mut answers: Vec<Option<Result<Reply, CallError>>> = calls.iter().map(missing).collect();
        let open: Vec<(usize, &Call)> = calls
            .iter()
            .enumerate()
            .filter(|(at, _)| matches!(answers.get(*at), Some(None)))
            .map(|(at, call)| (at, *call))
            .collect();
        if !open.is_empty() {
            match self.exchange(&open).await {
                Err(failure) => {
                    let error = self.note_failure(failure);
                    fill(&mut answers, &error);
                }
                Ok(many) => self.sort(many, &open, &mut answers),
            }
        }
        let absent = || Err(CallError::malformed("the answer has no result for this call"));
        answers.into_iter().map(|answer| answer.unwrap_or_else(absent)).collect()
    }

    /// Puts the answers where their calls stand, and remembers what they tell of the endpoint.
    fn sort(
        &self,
        many: Vec<Answer>,
        open: &[(usize, &Call)],
        answers: &mut [Option<Result<Reply, CallError>>],
    ) {
        let mut memory = self.memory();
        if memory.worked() {
            tracing::info!(endpoint = self.name, "an endpoint answers again");
        }
        for answer in many {
            let at = answer.id.as_u64().and_then(|id| usize::try_from(id).ok());
            let place = at.and_then(|at| open.iter().find(|(open, _)| *open == at));
            let Some((at, call)) = place else {
                // A whole batch refused as one has no id: the refusal then counts for each.
                if let Some(error) = answer.error {
                    let method = open.first().map_or("", |(_, call)| call.method());
                    let error = classify(method, error);
                    match &error {
                        CallError::Retry { .. } => memory.turned_away(None, now()),
                        // A smaller batch may do.
                        CallError::TooMuch(_) => {}
                        _ if open.len() > 1 => memory.batchless = true,
                        _ => {}
                    }
                    fill(answers, &error);
                }
                continue;
            };
            let answer = match (answer.too_much, answer.error) {
                (Some(what), _) => Err(CallError::TooMuch(what)),
                (None, None) => Ok(answer.result),
                (None, Some(error)) => Err(classify(call.method(), error)),
            };
            match &answer {
                Err(CallError::Unknown(Unknown::NotOffered(_))) => memory.not_offered(call.method(), now()),
                Err(CallError::Retry { .. }) => memory.turned_away(None, now()),
                Err(CallError::Unknown(Unknown::MissingState(_))) => {
                    if let Some(height) = call.height() {
                        memory.learn_refused(height);
                    }
                }
                _ => {}
            }
            if let Some(slot) = answers.get_mut(*at) {
                *slot = Some(answer);
            }
        }
    }

    /// Sends the calls, in turn with others. A request that was turned away unread is sent again.
    async fn exchange(&self, calls: &[(usize, &Call)]) -> Result<Vec<Answer>, Failure> {
        let mut tries = 0;
        loop {
            let taken_at = now();
            let turn = self.memory().bucket.take(calls.len(), taken_at);
            if turn > TURN_MAX || (tries > 0 && turn > self.limits.deadline) {
                return Err(Failure::Busy(None));
            }
            if !turn.is_zero() {
                tokio::time::sleep(turn).await;
            }
            // Waiting for a turn does not count against the deadline: what was not sent has not failed.
            let _permit = self.permits.acquire().await;
            // Whoever waited for a permit while others were turned away would be turned away, too.
            if self.memory().bucket.lowered_since(taken_at) {
                continue;
            }
            tries += 1;
            match self.send(calls).await {
                Err(Failure::Busy(pause)) if tries < TRIES => self.memory().turned_away(pause, now()),
                other => return other,
            }
        }
    }

    async fn send(&self, calls: &[(usize, &Call)]) -> Result<Vec<Answer>, Failure> {
        match &self.transport {
            Transport::Http(http) => {
                let mut requests: Vec<Value> = calls
                    .iter()
                    .map(|(at, call)| {
                        json!({"jsonrpc": "2.0", "id": at, "method": call.method(), "params": call.params()})
                    })
                    .collect();
                let body = match requests.len() {
                    1 => http.post(&requests.remove(0)).await?,
                    _ => http.post(&Value::Array(requests)).await?,
                };
                one_or_many(&body).map_err(Failure::Useless)
            }
            Transport::Socket(socket) => {
                let each = calls.iter().map(|(at, call)| async move {
                    let repeats = !SENDS.contains(&call.method());
                    let answer =
                        socket.call(call.method(), call.params(), self.limits.deadline, repeats).await?;
                    Ok(Answer { id: json!(at), ..answer })
                });
                join_all(each).await.into_iter().collect()
            }
        }
    }

    fn note_failure(&self, failure: Failure) -> CallError {
        let mut memory = self.memory();
        match &failure {
            Failure::Busy(pause) => memory.turned_away(*pause, now()),
            Failure::Dead { reason, .. } => {
                if memory.failed(reason, now()) {
                    tracing::warn!(
                        endpoint = self.name,
                        reason,
                        "an endpoint does not answer; it is left alone"
                    );
                }
            }
            // It did what it was asked for.
            Failure::TooMuch(_) => {
                memory.worked();
            }
            Failure::Useless(error) => memory.useless(&error.to_string()),
        }
        drop(memory);
        failure.error()
    }
}

fn fill(answers: &mut [Option<Result<Reply, CallError>>], error: &CallError) {
    for answer in answers.iter_mut().filter(|answer| answer.is_none()) {
        *answer = Some(Err(error.clone()));
    }
}

/// For rates and time-outs.
fn now() -> Instant {
    Instant::now()
}
