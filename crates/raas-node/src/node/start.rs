//! From a configuration to a running node.

use super::bootstrap::{self, BootstrapError};
use super::driver;
use super::endpoints::{self, EndpointError};
use super::establish::{Established, establish};
use super::keeper;
use super::key::{self, KeyFileError};
use super::keys::{self, KeysError};
use super::leftovers;
use super::real::{NodeClock, RealWorld};
use super::token;
use super::waiting::{Door, Doors};
use crate::api::{self, App};
use crate::blocks::{LocalBytes, PieceStore};
use crate::config::{Config, ConfigError, EndpointSetting, Network};
use crate::data::{self, Patiently};
use crate::engine::{self, Engine, NextWake};
use crate::keeping;
use crate::settings::{ContractAt, Settings};
use crate::store::{self, Store};
use alloy_primitives::Address as EthAddress;
use axum::serve::Listener;
use raas_clients::clock::{DevnetClock, WallClock};
use raas_clients::evm::DealStatus;
use raas_clients::filecoin::{Identity, IdentityError, LotusChain};
use raas_clients::guard::Reach;
use raas_clients::provider::{Mk12, Mk12Config};
use raas_clients::rpc::{EndpointConfig, Pool};
use raas_clients::source::{FetchLimits, Fetcher};
use raas_clients::wallet::{KeyWallet, WalletConfig};
use raas_core::units::AttoFil;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Largest payload fetched or uploaded where the configuration does not say: a 32 GiB sector's worth.
const PAYLOAD_MAX_GIB: u64 = 31;
/// How long a stop waits for requests and the pass under way.
const GRACE: Duration = Duration::from_secs(30);
/// A devnet's head is looked at this often.
const DEVNET_POLL: Duration = Duration::from_millis(200);

/// What a caller decides besides the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The endpoint of a devnet that runs in this process.
    pub devnet_rpc: Option<String>,
    /// Whether the loop runs by itself; a stepped node only moves by `quiesce`.
    pub stepped: bool,
    /// For tests of a whole history: a new store takes this id in place of a random one, and steps run one at a
    /// time, so that with the same key and world the node signs and sends the same bytes in the same order.
    pub reproducible: Option<[u8; 16]>,
}

/// Why a node does not start. Nothing is left bound.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error("the data directory {path}")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A port cannot be bound.
    #[error("{key}: {address} cannot be bound ({source}); stop what listens there or choose another port")]
    Bind {
        /// The configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Whoever reaches the address could do everything.
    #[error(
        "listen.admin: {0} is no loopback address, and no key opens the API; `raas key new --scope admin` makes one, or \
         listen on 127.0.0.1"
    )]
    NoApiKey(SocketAddr),
    /// The keys cannot be looked at.
    #[error("listen.admin")]
    Keys(#[from] KeysError),
    /// The endpoints cannot be used.
    #[error("chain.endpoints")]
    Endpoints(#[from] EndpointError),
    /// The network is not established.
    #[error("chain.endpoints")]
    Identity(#[from] IdentityError),
    /// The endpoints serve another network than the configuration names.
    #[error("chain.endpoints serve chain id {found} ({name}), but network {network} has {wanted}")]
    OtherNetwork {
        /// As configured.
        network: String,
        /// Its chain id.
        wanted: u64,
        /// What the endpoints say.
        found: u64,
        /// Their network's name.
        name: String,
    },
    /// No key.
    #[error("wallet")]
    Key(#[from] KeyFileError),
    /// On a network with value the key must be named.
    #[error(
        "wallet.key_file: name the file with the node's key (`raas wallet new` makes one) or wallet.signer_socket; \
         only a devnet gets a key made"
    )]
    NoKey,
    /// No provider to use.
    #[error("deals.providers: name the miner actors this node may use, such as [\"f01000\"]")]
    NoProviders,
    /// The store cannot be used.
    #[error("the store")]
    Store(#[from] store::Error),
    /// The node's own copies cannot be looked at.
    #[error("the pieces")]
    Keeping(#[from] keeping::Error),
    /// The devnet cannot be used.
    #[error("the devnet")]
    Bootstrap(#[from] BootstrapError),
    /// A client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Client(String),
}

/// A running node.
pub struct Handle {
    /// Everything its handlers see.
    pub app: Arc<App<RealWorld>>,
    /// Where the API listens.
    pub admin: SocketAddr,
    /// Where providers and readers of bytes are served.
    pub data: SocketAddr,
    /// Which network.
    pub network: String,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), engine::Error>>,
}

impl Handle {
    /// `http://` and the admin address.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// `http://` and the data address.
    #[must_use]
    pub fn data_url(&self) -> String {
        format!("http://{}", self.data)
    }

    /// Brings the node to rest at this head; when it wants to be woken.
    pub async fn quiesce(&self) -> Result<NextWake, engine::Error> {
        self.app.engine.quiesce().await
    }

    /// Waits until a part of the node ends by itself, which is a failure.
    pub async fn ended(&mut self) -> Option<engine::Error> {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => Some(error),
            _ => None,
        }
    }

    /// Stops taking requests, lets what is under way end, and waits for it, at most the grace period.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, drained).await.is_err() {
            tracing::warn!(grace_s = GRACE.as_secs(), "not everything ended in time");
        }
        self.tasks.abort_all();
        self.app.engine.store().clone().close().await;
    }
}

/// Binds, checks the network, and starts the loop.
pub async fn start(config: &Config, options: &Options) -> Result<Handle, StartError> {
    let network = config.network()?;
    // Before anything is bound, and beside a node that may run on the store.
    if !config.listen.admin.ip().is_loopback() && !keys::has_valid(config).await? {
        return Err(StartError::NoApiKey(config.listen.admin));
    }
    let (admin, data) =
        (bind("listen.admin", config.listen.admin).await?, bind("listen.data", config.listen.data).await?);
    let data_address = local("listen.data", config.listen.data, &data)?;
    let public_url = config.listen.public_url.clone().unwrap_or_else(|| format!("http://{data_address}"));
    let admin_address = local("listen.admin", config.listen.admin, &admin)?;
    let settings_of_endpoints = match &options.devnet_rpc {
        Some(url) => vec![EndpointSetting::Url(url.clone())],
        None => endpoints::settings(config, &network),
    };
    let pool = endpoints::pool(config, &settings_of_endpoints)?;
    let data_dir = |source| StartError::DataDir { path: config.data_dir.clone(), source };
    std::fs::create_dir_all(&config.data_dir).map_err(data_dir)?;
    #[expect(clippy::disallowed_methods, reason = "the id of a new store, where none is given")]
    let new_id = options.reproducible.unwrap_or_else(rand::random);
    let store = Store::open_with_id(&config.data_dir.join(keys::STORE), &holder(), new_id).await?;
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    #[expect(clippy::disallowed_methods, reason = "the name of this start's data listener")]
    let listener = hex::encode(rand::random::<[u8; 16]>());
    let doors = Doors::new(&network.to_string(), &listener);
    tasks.spawn(serve(admin, doors.admin.clone(), stop.clone()));
    let data = Patiently::new(data, Duration::from_millis(config.gateway.stall_ms));
    tasks.spawn(serve(data, doors.data.clone(), stop.clone()));
    let Established { identity, devnet } = establish(&pool, &network, &store, &doors).await?;
    let reserve_bytes = config.store.reserve_mib << 20;
    let pieces =
        PieceStore::open_with_reserve(config.data_dir.join("pieces"), reserve_bytes).map_err(data_dir)?;
    keeping::put_in_order(&store, &pieces).await?;
    leftovers::clean(&store, &pieces).await?.map_err(data_dir)?;
    leftovers::note_strays(&store, pieces.kept().map_err(data_dir)?).await?;
    let mut settings = config.settings(public_url)?;
    if options.reproducible.is_some() {
        settings.concurrency = 1;
    }
    let wallet = wallet(config, &pool, &identity, settings.spending.gas_max, devnet).await?;
    if devnet {
        bootstrap::fund(&pool, &wallet, &store).await?;
        if settings.providers.is_empty() {
            settings.providers = bootstrap::providers(&pool).await?;
        }
    }
    if settings.providers.is_empty() {
        return Err(StartError::NoProviders);
    }
    settings.contracts = contracts_at(config, &pool, &wallet, &store, devnet).await?;
    let known: Vec<_> = settings.contracts.iter().map(|at| (at.address, at.completes())).collect();
    store.set_deployments(&known).await?;
    let world =
        world(config, &pool, &identity, wallet, &pieces, &settings, devnet, &network, options).await?;
    let shown = if devnet { format!("devnet ({})", identity.network_name) } else { identity.network_name };
    let app = Arc::new(App {
        engine: Engine::new(Arc::new(world), store, settings),
        pieces,
        fetching: tokio::sync::Mutex::default(),
        wake: tokio::sync::Notify::new(),
        network: shown.clone(),
        listener,
        upload_max_bytes: payload_max(config),
        devnet,
        wallet_token: token::read_or_make(&config.data_dir.join("wallet.token"))?,
    });
    doors.admin.open(api::router(Arc::clone(&app)));
    doors.data.open(data::router(Arc::clone(&app), config.gateway(devnet)));
    if !options.stepped {
        let poll = if devnet { DEVNET_POLL } else { Duration::from_millis(config.chain.poll_ms.max(100)) };
        tasks.spawn(driver::drive(Arc::clone(&app), poll, pool.heads(), stop.clone()));
        tasks.spawn(keeper::keep(Arc::clone(&app), config.store.clone(), stop.clone()));
        let (listened, stopped) = (pool.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = listened.listen() => {}
                () = stopped.cancelled() => {}
            }
            Ok(())
        });
    }
    Ok(Handle { app, admin: admin_address, data: data_address, network: shown, stop, tasks })
}

async fn serve<L>(listener: L, door: Door, stop: CancellationToken) -> Result<(), engine::Error>
where
    L: Listener<Addr = SocketAddr>,
{
    let served = axum::serve(listener, door).with_graceful_shutdown(async move { stop.cancelled().await });
    if let Err(error) = served.await {
        tracing::error!(%error, "a listener ended");
    }
    Ok(())
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { key, address, source })
}

fn local(key: &'static str, address: SocketAddr, listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Bind { key, address, source })
}

/// Who holds the leases, for people who read the store.
fn holder() -> String {
    format!("process {}", std::process::id())
}

fn payload_max(config: &Config) -> u64 {
    config.sources.fetch_max_gib.unwrap_or(PAYLOAD_MAX_GIB).saturating_mul(1 << 30)
}

async fn wallet(
    config: &Config,
    pool: &Pool,
    identity: &Identity,
    gas_max: Option<AttoFil>,
    devnet: bool,
) -> Result<KeyWallet, StartError> {
    let signer = key::signer(&config.wallet, &config.data_dir, devnet).await?.ok_or(StartError::NoKey)?;
    let settings = WalletConfig {
        chain_id: identity.chain_id,
        genesis: Some(identity.genesis_cid.clone()),
        contracts: Vec::new(),
        max_gas_cost: gas_max.unwrap_or(AttoFil(u128::MAX)),
    };
    Ok(KeyWallet::new(signer, pool.clone(), settings))
}

/// The configured contracts, the node's own first; on a devnet one is deployed when none is named.
async fn contracts_at(
    config: &Config,
    pool: &Pool,
    wallet: &KeyWallet,
    store: &Store,
    devnet: bool,
) -> Result<Vec<ContractAt>, StartError> {
    let own = match config.own_contract()? {
        None if devnet => Some(bootstrap::contract(pool, wallet, store).await?),
        own => own,
    };
    Ok(own.into_iter().chain(config.deployments()?).collect())
}

#[allow(clippy::too_many_arguments)]
async fn world(
    config: &Config,
    pool: &Pool,
    identity: &Identity,
    wallet: KeyWallet,
    pieces: &PieceStore,
    settings: &Settings,
    devnet: bool,
    network: &Network,
    options: &Options,
) -> Result<RealWorld, StartError> {
    let reach = Reach::allow_private(devnet);
    let client = |error: &dyn std::fmt::Display| StartError::Client(error.to_string());
    let eth = |at: &ContractAt| EthAddress::from(at.address.0);
    let wallet = wallet.with_contracts(settings.contracts.iter().map(|at| (eth(at), at.abi)).collect());
    let contracts =
        settings.contracts.iter().map(|at| (at.address, DealStatus::new(pool.clone(), eth(at)))).collect();
    let clock = if devnet {
        let urls = match (&options.devnet_rpc, network) {
            (Some(url), _) | (None, Network::Url(url)) => url.clone(),
            _ => config.chain.endpoints.first().map(|first| first.url().to_owned()).unwrap_or_default(),
        };
        let url = url::Url::parse(&urls).map_err(|error| client(&error))?;
        NodeClock::Devnet(
            DevnetClock::connect(EndpointConfig::new(url)).await.map_err(|error| client(&error))?,
        )
    } else {
        NodeClock::Wall(WallClock::new(identity.genesis_unix, identity.block_delay_secs))
    };
    let fetcher = Fetcher::new(reach, FetchLimits::default()).map_err(|error| client(&error))?;
    Ok(RealWorld {
        chain: LotusChain::new(pool.clone(), wallet.native_address()),
        contracts,
        deal_maker: Mk12::new(Mk12Config { reach, ..Mk12Config::default() })
            .map_err(|error| client(&error))?,
        bytes: LocalBytes::new(pieces.clone(), fetcher, config.sources.gateways.clone(), payload_max(config)),
        wallet,
        clock,
    })
}
