//! A devnet that runs: the world, its RPC, its storage providers, its clock, in the calling process.

use crate::{
    Config, ConfigError,
    codec::http_multiaddr,
    host::{Host, HostError},
    journal::{Journal, JournalError},
    provider::{self, Fleet, FleetError},
    rpc::{self, Server},
    world::{Command, CommandError, World},
};
use raas_core::ids::ProviderId;
use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{net::TcpListener, sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Why a devnet does not start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A journaled command is refused now.
    #[error("the journal does not replay, command {index}: {source}")]
    Replay {
        /// Counted from 0.
        index: usize,
        /// Why.
        source: CommandError,
    },
    /// A port is taken.
    #[error("port {port} of {what} cannot be bound: {source}")]
    Bind {
        /// Who wanted it.
        what: String,
        /// Which.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The providers do not start.
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

/// A running devnet. Dropping it stops its servers without waiting; [`Devnet::shutdown`] waits.
#[derive(Debug)]
pub struct Devnet {
    host: Arc<Host>,
    fleet: Arc<Fleet<Host>>,
    rpc: SocketAddr,
    provider_urls: BTreeMap<ProviderId, String>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Starts a devnet: replays its journal, binds every port, serves.
pub async fn spawn(config: Config) -> Result<Devnet, SpawnError> {
    config.check()?;
    let (config, host) = build(config)?;
    let host = Arc::new(host);
    let (rpc_listener, rpc) = bind("the chain RPC", config.port).await?;
    let mut listeners = BTreeMap::new();
    let mut provider_urls = BTreeMap::new();
    for (index, one) in (1_u16..).zip(&config.providers) {
        let port = if config.port == 0 { 0 } else { config.port + index };
        let (listener, address) = bind(&format!("provider {}", one.id), port).await?;
        let url = format!("http://{address}");
        let told = host.act(|world| world.set_server(one.id, url.clone(), vec![http_multiaddr(address)]));
        // Nothing is journaled by telling an address, so nothing can fail.
        debug_assert!(told.is_ok());
        provider_urls.insert(one.id, url);
        listeners.insert(one.id, listener);
    }
    let fleet =
        Arc::new(Fleet::start(host.clone(), listeners, config.data_dir.as_deref(), config.allow_private)?);
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let epoch_ms = watch::Sender::new(config.epoch_ms);
    let pace = epoch_ms.subscribe();
    let server = Arc::new(Server::new(host.clone(), fleet.clone(), epoch_ms, tasks.clone(), stop.clone()));
    let served = server.clone();
    let handler = move |request| served.clone().serve(request);
    tasks.spawn(provider::serve(rpc_listener, stop.clone(), tasks.clone(), handler));
    tasks.spawn(tick(server, pace, stop.clone()));
    Ok(Devnet { host, fleet, rpc, provider_urls, stop, tasks })
}

/// The world of a configuration, with its journal replayed if there is a data directory.
fn build(config: Config) -> Result<(Config, Host), SpawnError> {
    let config = started_now(config);
    let Some(dir) = config.data_dir.clone() else {
        let host = Host::new(World::new(&config), None);
        return Ok((config, host));
    };
    let (journal, replay) = Journal::open(&dir, &config)?;
    let mut world = World::new(&replay.config);
    for (index, command) in replay.commands.into_iter().enumerate() {
        world.apply(command).map_err(|source| SpawnError::Replay { index, source })?;
    }
    Ok((replay.config, Host::new(world, Some(journal))))
}

/// With a clock that runs by wall time, the head of a new world is now, unless a genesis is given.
fn started_now(config: Config) -> Config {
    let journaled = config.data_dir.as_deref().is_some_and(Journal::exists);
    if config.epoch_ms == 0 || config.genesis_unix.is_some() || journaled {
        return config;
    }
    #[expect(clippy::disallowed_methods, reason = "the genesis of a devnet whose time follows the wall")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let elapsed = u64::try_from(config.start_height).unwrap_or(0).saturating_mul(config.block_delay_secs);
    Config { genesis_unix: Some(now.saturating_sub(elapsed)), ..config }
}

async fn bind(what: &str, port: u16) -> Result<(TcpListener, SocketAddr), SpawnError> {
    let failed = |source| SpawnError::Bind { what: what.to_owned(), port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Lets one epoch pass per `pace` milliseconds, while that is not 0.
async fn tick(server: Arc<Server>, mut pace: watch::Receiver<u64>, stop: CancellationToken) {
    let mut last = Instant::now();
    loop {
        let ms = *pace.borrow_and_update();
        // From tick to tick, so that the time a tick takes does not add up.
        let next = last + Duration::from_millis(ms);
        let due = async {
            if ms == 0 {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep_until(next).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = pace.changed() => {
                if changed.is_err() {
                    return;
                }
                last = Instant::now();
                continue;
            }
            () = due => {}
        }
        last = next;
        let _one_at_a_time = server.advancing.lock().await;
        if let Err(error) = server.host.apply(Command::Advance { epochs: 1 }) {
            tracing::error!(%error, "the clock stands still");
            return;
        }
        server.fleet.wake();
    }
}

impl Devnet {
    /// Where the chain RPC is served.
    #[must_use]
    pub fn rpc_url(&self) -> String {
        format!("http://{}{}", self.rpc, rpc::PATH)
    }

    /// Where each provider's server listens.
    #[must_use]
    pub const fn provider_urls(&self) -> &BTreeMap<ProviderId, String> {
        &self.provider_urls
    }

    /// The world and its journal.
    #[must_use]
    pub const fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Looks at the world.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        self.host.read(look)
    }

    /// Applies one command, as the control methods do. Unlike `devnet_advance` it does not wait for transfers.
    pub fn apply(&self, command: Command) -> Result<crate::world::Outcome, HostError> {
        let outcome = self.host.apply(command);
        self.fleet.wake();
        outcome
    }

    /// Waits until every transfer that is due has ended, but at most this long. True when none is left.
    pub async fn settled(&self, at_most: Duration) -> bool {
        self.fleet.settled(at_most).await
    }

    /// Stops every server and waits until they have.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.fleet.stopped().await;
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        self.stop.cancel();
        self.fleet.stop();
    }
}
