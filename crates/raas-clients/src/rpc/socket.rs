//! A WebSocket to one endpoint: calls one by one, and a subscription that tells of new heads.
//!
//! What a notification says is not read: it only wakes the poll, which is the truth. So a lost, doubled or reordered
//! one does no harm, and the native (`ChainNotify`) and the EVM (`newHeads`) form serve alike.
//!
//! A message beyond the cap ends the connection before it can be told whose answer it is. Where only one call was
//! unanswered, it is that one's. Else each of those that only look is asked again alone on a new connection, so that
//! the one that is too much is told apart and the others have their answers.

use super::answer::Answer;
use super::error::Reached;
use super::transport::Failure;
use crate::http;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use url::Url;

/// How long a connection may take to be made, its handshake included.
const CONNECT: Duration = Duration::from_secs(10);
/// A connection on which nothing comes for so long is given up. Servers ping every few seconds, heads come twice a
/// minute.
const SILENCE: Duration = Duration::from_secs(120);
/// Pauses between two tries to connect.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Calls that wait to be written.
const QUEUE: usize = 64;
/// Calls without an answer that are remembered after their callers gave them up.
const FORGOTTEN_MAX: usize = 1_000;

/// How a call on a connection ended.
#[derive(Debug)]
enum Told {
    Answer(Answer),
    /// A message was beyond the cap; whether no other call than this one was unanswered.
    Beyond {
        alone: bool,
    },
}

/// The unanswered calls of a connection; `None` for one whose caller has given up, whose answer may still come.
#[derive(Clone, Debug, Default)]
struct Pending(Arc<Mutex<BTreeMap<u64, Option<oneshot::Sender<Told>>>>>);

impl Pending {
    fn calls(&self) -> MutexGuard<'_, BTreeMap<u64, Option<oneshot::Sender<Told>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, id: u64) -> oneshot::Receiver<Told> {
        let (tell, told) = oneshot::channel();
        let mut calls = self.calls();
        if calls.len() > FORGOTTEN_MAX {
            calls.retain(|_, waiting| waiting.is_some());
        }
        calls.insert(id, Some(tell));
        told
    }

    /// Its caller waits no longer.
    fn give_up(&self, id: u64) {
        if let Some(waiting) = self.calls().get_mut(&id) {
            *waiting = None;
        }
    }

    fn answer(&self, id: u64, answer: Answer) {
        if let Some(waiting) = self.calls().remove(&id).flatten() {
            // Whoever asked may have given up.
            let _ = waiting.send(Told::Answer(answer));
        }
    }

    /// The connection has ended: those who wait are told by the loss of their channel, or why it ended.
    fn end(&self, ended: Ended) {
        let calls = std::mem::take(&mut *self.calls());
        let alone = calls.len() == 1;
        if matches!(ended, Ended::Beyond) {
            for waiting in calls.into_values().flatten() {
                let _ = waiting.send(Told::Beyond { alone });
            }
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// A message was larger than is read.
    Beyond,
    /// Anything else.
    Closed,
}

/// An open connection.
#[derive(Clone, Debug)]
struct Live {
    out: mpsc::Sender<Message>,
    pending: Pending,
    closed: Arc<Notify>,
}

#[derive(Debug)]
pub(super) struct Socket {
    url: Url,
    authorization: Option<HeaderValue>,
    response_bytes: usize,
    heads: Arc<Notify>,
    live: tokio::sync::Mutex<Option<Live>>,
    /// The tasks that read and write; they end with the socket.
    tasks: Mutex<JoinSet<()>>,
    next_id: AtomicU64,
    /// Calls have it in common; one that must be alone has it for itself.
    crowd: tokio::sync::RwLock<()>,
    /// Counts connections, so that a new one can be told from the last.
    connections: AtomicU64,
}

impl Socket {
    pub(super) fn new(
        url: Url,
        authorization: Option<HeaderValue>,
        response_bytes: usize,
        heads: Arc<Notify>,
    ) -> Self {
        http::install_tls();
        Self {
            url,
            authorization,
            response_bytes,
            heads,
            live: tokio::sync::Mutex::default(),
            tasks: Mutex::default(),
            next_id: AtomicU64::new(1),
            crowd: tokio::sync::RwLock::default(),
            connections: AtomicU64::new(0),
        }
    }

    /// How often a connection was made.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    /// Whether a connection is open; `false` too while one is being made.
    pub(super) fn is_open(&self) -> bool {
        self.live.try_lock().is_ok_and(|live| live.as_ref().is_some_and(|live| !live.out.is_closed()))
    }

    /// Makes sure of a connection.
    pub(super) async fn connect(&self) -> Result<(), Failure> {
        self.connected().await.map(|_| ())
    }

    /// One call and its answer, within `deadline`. `repeats`: it only looks, and may be asked again where another's
    /// answer ended the connection.
    pub(super) async fn call(
        &self,
        method: &str,
        params: &[Value],
        deadline: Duration,
        repeats: bool,
    ) -> Result<Answer, Failure> {
        let late = |_| Err(Failure::late(deadline));
        let first = {
            let _among_others = self.crowd.read().await;
            tokio::time::timeout(deadline, self.ask(method, params)).await.unwrap_or_else(late)?
        };
        let beyond = || Answer::beyond(self.response_bytes);
        match first {
            Told::Answer(answer) => Ok(answer),
            Told::Beyond { alone: true } => Ok(beyond()),
            Told::Beyond { alone: false } if !repeats => Err(closed(Reached::Perhaps)),
            Told::Beyond { alone: false } => {
                let _alone = self.crowd.write().await;
                match tokio::time::timeout(deadline, self.ask(method, params)).await.unwrap_or_else(late)? {
                    Told::Answer(answer) => Ok(answer),
                    Told::Beyond { alone: true } => Ok(beyond()),
                    // An answer that came too late for whoever had asked for it.
                    Told::Beyond { alone: false } => Err(closed(Reached::Perhaps)),
                }
            }
        }
    }

    async fn ask(&self, method: &str, params: &[Value]) -> Result<Told, Failure> {
        let live = self.connected().await?;
        self.ask_on(&live, method, params).await
    }

    async fn ask_on(&self, live: &Live, method: &str, params: &[Value]) -> Result<Told, Failure> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let told = live.pending.add(id);
        let _place = Place { pending: &live.pending, id };
        let text = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        live.out.send(Message::text(text)).await.map_err(|_| closed(Reached::No))?;
        told.await.map_err(|_| closed(Reached::Perhaps))
    }

    async fn connected(&self) -> Result<Live, Failure> {
        let mut slot = self.live.lock().await;
        if let Some(live) = slot.as_ref().filter(|live| !live.out.is_closed()) {
            return Ok(live.clone());
        }
        *slot = None;
        let live = tokio::time::timeout(CONNECT, self.open())
            .await
            .unwrap_or_else(|_| Err(unreachable("the connection was not made in time")))?;
        self.connections.fetch_add(1, Ordering::AcqRel);
        *slot = Some(live.clone());
        Ok(live)
    }

    async fn open(&self) -> Result<Live, Failure> {
        let mut request =
            self.url.as_str().into_client_request().map_err(|_| unreachable("not a WebSocket URL"))?;
        if let Some(value) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(self.response_bytes))
            .max_frame_size(Some(self.response_bytes));
        let (stream, _) = tokio_tungstenite::connect_async_with_config(request, Some(config), true)
            .await
            .map_err(|error| unreachable(&reason(&error)))?;
        let (out, queue) = mpsc::channel(QUEUE);
        let live = Live { out, pending: Pending::default(), closed: Arc::default() };
        let (pending, closed, heads) = (live.pending.clone(), live.closed.clone(), self.heads.clone());
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let ended = serve(stream, queue, &pending, &heads).await;
            // The next call must not find this connection any more.
            pending.end(ended);
            closed.notify_one();
        });
        Ok(live)
    }

    /// Subscribes to heads for as long as this runs, connecting again whenever the connection is lost.
    pub(super) async fn follow_heads(&self) {
        let mut pause = BACK_OFF.0;
        loop {
            match self.subscribed().await {
                Ok(live) => {
                    pause = BACK_OFF.0;
                    live.closed.notified().await;
                    // Something may have happened that nobody told.
                    self.heads.notify_one();
                }
                Err(failure) => {
                    tracing::debug!(host = self.url.host_str(), ?failure, "no word of new heads");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    async fn subscribed(&self) -> Result<Live, Failure> {
        let live = self.connected().await?;
        for (method, params) in [("Filecoin.ChainNotify", vec![]), ("eth_subscribe", vec![json!("newHeads")])]
        {
            let told = tokio::time::timeout(CONNECT, self.ask_on(&live, method, &params))
                .await
                .unwrap_or_else(|_| Err(Failure::late(CONNECT)))?;
            match told {
                Told::Answer(answer) if answer.error.is_none() => return Ok(live),
                Told::Answer(_) => {}
                Told::Beyond { .. } => return Err(closed(Reached::Perhaps)),
            }
        }
        Err(unreachable("it offers no subscription to heads"))
    }
}

/// A call's place among those that wait.
struct Place<'a> {
    pending: &'a Pending,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.pending.give_up(self.id);
    }
}

fn closed(reached: Reached) -> Failure {
    Failure::Dead { reason: "the WebSocket closed".to_owned(), reached }
}

fn unreachable(reason: &str) -> Failure {
    Failure::Dead { reason: format!("cannot connect: {reason}"), reached: Reached::No }
}

/// An error without the address, which may hold a key.
fn reason(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Http(response) => format!("HTTP status {}", response.status().as_u16()),
        tungstenite::Error::Io(error) => error.to_string(),
        tungstenite::Error::Tls(_) => "TLS failed".to_owned(),
        tungstenite::Error::Url(_) => "the URL is none of a WebSocket".to_owned(),
        _ => "the WebSocket handshake failed".to_owned(),
    }
}

type Stream = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Reads and writes until the connection ends, everybody has gone, or nothing comes any more.
async fn serve(
    mut stream: Stream,
    mut queue: mpsc::Receiver<Message>,
    pending: &Pending,
    heads: &Notify,
) -> Ended {
    loop {
        tokio::select! {
            message = queue.recv() => match message {
                Some(message) => if stream.send(message).await.is_err() { return Ended::Closed },
                None => {
                    // Nobody is left to tell.
                    let _ = stream.close(None).await;
                    return Ended::Closed;
                }
            },
            frame = tokio::time::timeout(SILENCE, stream.next()) => match frame {
                Ok(Some(Ok(Message::Text(text)))) => if !take(text.as_bytes(), pending, heads) { return Ended::Closed },
                Ok(Some(Ok(Message::Binary(bytes)))) => if !take(&bytes, pending, heads) { return Ended::Closed },
                // Pings are answered by the library at the next write or read.
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {}
                Ok(Some(Err(tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. })))) => return Ended::Beyond,
                Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) | Err(_) => return Ended::Closed,
            },
        }
    }
}

/// Takes one message in. False when the subscription ended.
fn take(bytes: &[u8], pending: &Pending, heads: &Notify) -> bool {
    let Ok(message) = serde_json::from_slice::<Answer>(bytes) else { return true };
    match message.method.as_deref() {
        Some("xrpc.ch.close") => return false,
        Some("xrpc.ch.val" | "eth_subscription") => heads.notify_one(),
        Some(_) => {}
        None => {
            if let Some(id) = message.id.as_u64() {
                pending.answer(id, message);
            }
        }
    }
    true
}
