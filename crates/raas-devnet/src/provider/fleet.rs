//! All providers' servers and transfers.
//!
//! Owner of: listeners, HTTP client, files, the list of transfers under way. It holds no state that matters: what
//! is to be fetched is read from the book each time, so a restart fetches again what had not ended.

use super::command::{Command, Reply};
use super::connection;
use super::deal::{Pull, TransferEnd};
use super::files::Files;
use super::mode::Mode;
use super::pull;
use super::server;
use crate::StatusStyle;
use crate::codec::DealUuid;
use crate::world::{CommandError, World};
use raas_core::ids::ProviderId;
use raas_core::units::Epoch;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Transfers at a time, over all providers.
const TRANSFERS_MAX: usize = 8;

/// Whoever holds the world.
pub trait Host: Send + Sync + 'static {
    /// Applies a command to the world's book, journals it, and says what it gave back.
    fn apply(&self, command: Command) -> Result<Reply, CommandError>;

    /// Looks at the world.
    fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T;
}

/// Why the servers do not start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The data directory cannot be used.
    #[error("data_dir cannot hold the providers' pieces: {0}")]
    Files(#[from] io::Error),
    /// There is no HTTP client.
    #[error("no HTTP client for the providers' transfers: {0}")]
    Client(#[from] reqwest::Error),
}

/// What servers and transfers share.
pub(super) struct Shared<H> {
    pub(super) host: Arc<H>,
    pub(super) files: Files,
    client: reqwest::Client,
    allow_private: bool,
    /// Transfers under way and how many bytes of each have come.
    running: Mutex<BTreeMap<(ProviderId, DealUuid), Arc<AtomicU64>>>,
    awake: Notify,
    /// Counts transfers that ended.
    ended: watch::Sender<u64>,
}

type Running = BTreeMap<(ProviderId, DealUuid), Arc<AtomicU64>>;

impl<H: Host> Shared<H> {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self) {
        self.awake.notify_one();
    }

    pub(super) fn received(&self, provider: ProviderId, uuid: DealUuid) -> u64 {
        self.running().get(&(provider, uuid)).map_or(0, |bytes| bytes.load(Ordering::Relaxed))
    }

    pub(super) fn style(&self, provider: ProviderId) -> Option<StatusStyle> {
        self.host.read(|world| world.book.get(provider).map(|book| book.terms().style))
    }

    /// Whether the provider is in one of `modes`; a counted one is counted down.
    pub(super) fn spoilt(&self, provider: ProviderId, modes: &[Mode]) -> bool {
        let mood = self.host.read(|world| world.book.get(provider).map(|book| book.mood()));
        let Some(mood) = mood.filter(|mood| modes.contains(&mood.mode())) else { return false };
        if mood.left().is_some()
            && let Err(error) = self.host.apply(Command::Spoilt { at: provider, mode: mood.mode() })
        {
            tracing::warn!(%provider, %error, "a spoilt request could not be counted");
        }
        true
    }

    fn due(&self) -> Vec<(ProviderId, Pull)> {
        self.host.read(|world| world.book.pulls(Epoch(world.chain().clock())).collect())
    }

    /// Fetches, judges, keeps and reports.
    async fn transfer(&self, provider: ProviderId, pull: &Pull, received: &AtomicU64) {
        let part = self.files.part(provider, pull.uuid);
        let fetched = pull::fetch(&self.client, pull, self.allow_private, &part, received).await;
        let kept = match fetched {
            Ok(piece) => match pull.judge(&piece) {
                Ok(()) => tokio::fs::rename(&part, self.files.piece(provider, pull.commitment))
                    .await
                    .map(|()| piece)
                    .map_err(|error| format!("keeping the piece on the provider's disk: {error}")),
                Err(reason) => Err(reason),
            },
            Err(reason) => Err(reason),
        };
        let end = match kept {
            Ok(piece) => TransferEnd::received(&piece),
            Err(reason) => {
                // There may be no such file; what matters is that none stays.
                let _ = tokio::fs::remove_file(&part).await;
                TransferEnd::Failed { reason }
            }
        };
        if let Err(error) = self.host.apply(Command::TransferEnded { at: provider, uuid: pull.uuid, end }) {
            tracing::error!(%provider, deal.uuid = %pull.uuid, %error, "the end of a transfer was not recorded");
        }
    }
}

/// The running servers. Dropping it stops nothing; [`Fleet::stop`] does.
pub struct Fleet<H> {
    shared: Arc<Shared<H>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl<H> std::fmt::Debug for Fleet<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fleet")
    }
}

impl<H: Host> Fleet<H> {
    /// Serves every provider on its listener and fetches what its book wants. Pieces are kept under
    /// `data_dir/pieces`, or in a temporary directory.
    pub fn start(
        host: Arc<H>,
        listeners: BTreeMap<ProviderId, TcpListener>,
        data_dir: Option<&Path>,
        allow_private: bool,
    ) -> Result<Self, FleetError> {
        let shared = Arc::new(Shared {
            host,
            files: Files::open(data_dir)?,
            client: pull::client(allow_private)?,
            allow_private,
            running: Mutex::default(),
            awake: Notify::new(),
            ended: watch::Sender::new(0),
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        for (id, listener) in listeners {
            let served = shared.clone();
            let handler = move |request| server::answer(served.clone(), id, request);
            tasks.spawn(connection::serve(listener, stop.clone(), tasks.clone(), handler));
        }
        tasks.spawn(fetch_what_is_due(shared.clone(), stop.clone(), tasks.clone()));
        Ok(Self { shared, stop, tasks })
    }

    /// Says that the clock has moved or a book has changed: transfers may have become due.
    pub fn wake(&self) {
        self.shared.wake();
    }

    /// Waits until every transfer that is due at this head has ended, but at most this long. True when none is left.
    pub async fn settled(&self, at_most: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + at_most;
        let mut ended = self.shared.ended.subscribe();
        loop {
            ended.mark_unchanged();
            if self.shared.due().is_empty() {
                return true;
            }
            self.wake();
            match tokio::time::timeout_at(deadline, ended.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return self.shared.due().is_empty(),
            }
        }
    }

    /// Begins to close every listener and connection; transfers stay where they are.
    pub fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
    }

    /// Closes every listener and connection and waits until they are.
    pub async fn shutdown(self) {
        self.stopped().await;
    }

    /// As [`Fleet::shutdown`], for one that is shared.
    pub async fn stopped(&self) {
        self.stop();
        self.tasks.wait().await;
    }
}

async fn fetch_what_is_due<H: Host>(shared: Arc<Shared<H>>, stop: CancellationToken, tasks: TaskTracker) {
    loop {
        for (provider, pull) in shared.due() {
            let key = (provider, pull.uuid);
            let received = Arc::new(AtomicU64::new(0));
            {
                let mut running = shared.running();
                if running.len() >= TRANSFERS_MAX {
                    break;
                }
                if running.contains_key(&key) {
                    continue;
                }
                running.insert(key, received.clone());
            }
            let (shared, stop) = (shared.clone(), stop.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = shared.transfer(provider, &pull, &received) => {}
                }
                shared.running().remove(&key);
                shared.ended.send_modify(|count| *count += 1);
                shared.wake();
            });
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.awake.notified() => {}
        }
    }
}
