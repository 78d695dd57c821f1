//! The sections of the configuration file. Units stand in the names; each field says what too much or too
//! little of it does.

use super::deployments::DeploymentSection;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of sections", default)]
pub struct Config {
    /// `devnet`, `calibration`, `mainnet` or an endpoint's URL. There is no default: a node that guessed
    /// could spend real money.
    pub network: Option<String>,
    /// Where the store, the pieces and the key live.
    pub data_dir: PathBuf,
    /// Chain endpoints.
    pub chain: ChainSection,
    /// The node's key.
    pub wallet: WalletSection,
    /// The node's own DealStatus contract: jobs of the API are registered there.
    pub contract: ContractSection,
    /// Further contracts that are followed.
    pub deployments: Vec<DeploymentSection>,
    /// What the node listens on.
    pub listen: ListenSection,
    /// What a job gets where it says nothing.
    pub policy: PolicySection,
    /// How deals are made.
    pub deals: DealsSection,
    /// How small pieces are put together.
    pub pack: PackSection,
    /// What may be spent.
    pub budget: BudgetSection,
    /// Where payloads are looked for.
    pub sources: SourcesSection,
    /// The node's own copies.
    pub store: StoreSection,
    /// Who is given bytes, and how many.
    pub gateway: GatewaySection,
    /// A Kubo node for `raas kubo`.
    pub kubo: KuboSection,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            network: None,
            data_dir: PathBuf::from("raas-data"),
            chain: ChainSection::default(),
            wallet: WalletSection::default(),
            contract: ContractSection::default(),
            deployments: Vec::new(),
            listen: ListenSection::default(),
            policy: PolicySection::default(),
            deals: DealsSection::default(),
            pack: PackSection::default(),
            budget: BudgetSection::default(),
            sources: SourcesSection::default(),
            store: StoreSection::default(),
            gateway: GatewaySection::default(),
            kubo: KuboSection::default(),
        }
    }
}

/// Chain endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings", default)]
pub struct ChainSection {
    /// `/rpc/v1` endpoints: URLs, or tables where one needs more than that. Empty: the network's public ones.
    pub endpoints: Vec<EndpointSetting>,
    /// How many endpoints must agree on a finalized tipset. 1 trusts a single one.
    pub agree: u32,
    /// Pause between two looks at the head, in milliseconds. Too short costs calls, too long costs latency; a
    /// WebSocket wakes earlier.
    pub poll_ms: u64,
    /// What one call may take, in milliseconds. Too short cuts off slow answers, too long lets a silent endpoint hold
    /// a round up.
    pub deadline_ms: u64,
}

impl Default for ChainSection {
    fn default() -> Self {
        Self { endpoints: Vec::new(), agree: 1, poll_ms: 10_000, deadline_ms: 30_000 }
    }
}

/// One endpoint: its URL, or a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EndpointSetting {
    /// `http`, `https`, `ws` or `wss`.
    Url(String),
    /// With more than the URL.
    Table(EndpointSection),
}

/// One endpoint that needs more than a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings")]
pub struct EndpointSection {
    /// `http`, `https`, `ws` or `wss`.
    pub url: String,
    /// A WebSocket of the same endpoint, which wakes the node at new heads.
    #[serde(default)]
    pub socket: Option<String>,
    /// File with the bearer token it wants, readable by its owner only.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Other than `chain.deadline_ms`.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
    /// Most calls a second, each call of a batch counted. Empty: no limit until it turns calls away, then what it
    /// bears.
    #[serde(default)]
    pub calls_per_second: Option<u32>,
}

impl From<String> for EndpointSetting {
    fn from(url: String) -> Self {
        Self::Url(url)
    }
}

impl EndpointSetting {
    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        match self {
            Self::Url(url) => url,
            Self::Table(table) => &table.url,
        }
    }

    /// As a table.
    #[must_use]
    pub fn table(&self) -> EndpointSection {
        match self {
            Self::Table(table) => table.clone(),
            Self::Url(url) => EndpointSection {
                url: url.clone(),
                socket: None,
                token_file: None,
                deadline_ms: None,
                calls_per_second: None,
            },
        }
    }
}

/// By hand, so that an unknown key of a table is named and not "no variant matched".
impl<'de> Deserialize<'de> for EndpointSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = EndpointSetting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the URL of an endpoint, or a table with url, socket, token_file, deadline_ms, calls_per_second")
            }

            fn visit_str<E: de::Error>(self, url: &str) -> Result<EndpointSetting, E> {
                Ok(EndpointSetting::Url(url.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EndpointSetting, A::Error> {
                EndpointSection::deserialize(MapAccessDeserializer::new(map)).map(EndpointSetting::Table)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The node's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings", default)]
pub struct WalletSection {
    /// File with the key, readable by its owner only: encrypted (Web3 version 3, as `raas wallet new` makes it), or
    /// 64 hex digits. On a devnet it is made when it is missing; elsewhere it must exist.
    pub key_file: Option<PathBuf>,
    /// File with the passphrase of the key file in its first line, readable by its owner only. Without it the
    /// passphrase is taken from the environment variable `RAAS_WALLET_PASSPHRASE`, else asked for.
    pub passphrase_file: Option<PathBuf>,
    /// Unix socket of a process that holds the key in place of this one.
    pub signer_socket: Option<PathBuf>,
    /// Most the gas of one transaction may cost, attoFIL. Dearer ones wait.
    pub gas_max_attofil: String,
}

impl Default for WalletSection {
    fn default() -> Self {
        Self {
            key_file: None,
            passphrase_file: None,
            signer_socket: None,
            gas_max_attofil: "1000000000000000000".to_owned(),
        }
    }
}

/// The DealStatus contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings", default)]
pub struct ContractSection {
    /// 0x address. On a devnet the node deploys one when this is empty.
    pub address: Option<String>,
    /// Block of its deployment: events are read from here.
    pub from_block: Option<i64>,
    /// Where events are older than every endpoint keeps and the contract has no views to make up for them: go on
    /// after this block. Requests before it are left out for good.
    pub skip_to_block: Option<i64>,
    /// `raas` (ours), `frc0087`, or `reference` (the starter kit's). Empty: ours.
    pub abi: Option<String>,
}

/// What the node listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings", default)]
pub struct ListenSection {
    /// API and specification routes. Loopback only, since it has no keys yet.
    pub admin: SocketAddr,
    /// `/piece` for providers, `/ipfs` for everyone.
    pub data: SocketAddr,
    /// Base URL under which providers reach the data listener. Empty: `http://` and the data address.
    pub public_url: Option<String>,
}

impl Default for ListenSection {
    fn default() -> Self {
        Self {
            admin: SocketAddr::from(([127, 0, 0, 1], 1337)),
            data: SocketAddr::from(([127, 0, 0, 1], 1338)),
            public_url: None,
        }
    }
}

/// What a job gets where it says nothing. Epochs are 30 s, 2,880 a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings", default)]
pub struct PolicySection {
    /// Fewer proven copies than this is urgent.
    pub replicas_min: u32,
    /// Copies on distinct operators.
    pub replicas_target: u32,
    /// Never more occupied slots than this.
    pub replicas_max: u32,
    /// Renew when no more than this is left.
    pub renew_before_epochs: i64,
    /// Repair when faulty for this long.
    pub repair_after_epochs: i64,
    /// Term of new deals.
    pub duration_epochs: i64,
    /// From signing to the start of the term.
    pub start_delay_epochs: i64,
    /// `always`, `never` or a number of proven copies.
    pub keep_local: String,
}

impl Default for PolicySection {
    fn default() -> Self {
        Self {
            replicas_min: 2,
            replicas_target: 3,
            replicas_max: 4,
            renew_before_epochs: 30 * 2_880,
            repair_after_epochs: 2_880,
            duration_epochs: 540 * 2_880,
            start_delay_epochs: 3 * 2_880,
            keep_local: "always".to_owned(),
        }
    }
}

/// How deals are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings", default)]
pub struct DealsSection {
    /// Miner actors that may be used, as `f01000`. Empty on a devnet: all of its providers.
    pub providers: Vec<String>,
    /// Highest price per GiB and epoch, attoFIL.
    pub price_max_attofil: String,
    /// Largest piece that is made of data, padded, in MiB: a power of two. Data that needs more is split into parts with deals
    /// of their own. Larger than most providers take leaves few of them to choose from, small costs a deal per part and copy. An ask
    /// that takes less counts, too. At least 4, so that any block fits.
    pub piece_max_mib: u64,
    /// Orders on their way to one provider at once.
    pub provider_capacity: u32,
    /// Repairs of lost copies started within one pacing window of 120 epochs.
    pub repairs_per_window: u32,
}

impl Default for DealsSection {
    fn default() -> Self {
        Self {
            providers: Vec::new(),
            price_max_attofil: "2000000000".to_owned(),
            piece_max_mib: 32 << 10,
            provider_capacity: 256,
            repairs_per_window: 100,
        }
    }
}

/// How small pieces of all jobs are put together into aggregates, which are deals with a proof for each piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings", default)]
pub struct PackSection {
    /// Padded size in MiB, a power of two: smaller pieces wait for company. 0: none do, each is a deal of its own.
    pub below_mib: u64,
    /// Padded size in MiB, a power of two, that an aggregate is filled to. Larger makes fewer deals and longer waits. What fewer
    /// operators take than there are to be copies is not made.
    pub size_mib: u64,
    /// The least that is bought without zeros in place of pieces: padded size in MiB, a power of two. What providers ask for at
    /// least counts, too.
    pub least_mib: u64,
    /// How long a piece waits at most, while there is enough for the least. A last copy never waits.
    pub patience_epochs: i64,
    /// What is done when that is over and there is less: `wait` for more, `pad` with zeros, which are paid for, or go to
    /// `small_providers`, each piece by itself.
    pub when_small: String,
}

impl Default for PackSection {
    fn default() -> Self {
        Self {
            below_mib: 0,
            size_mib: 4 << 10,
            least_mib: 1 << 10,
            patience_epochs: 2_880,
            when_small: "wait".to_owned(),
        }
    }
}

/// What may be spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings", default)]
pub struct BudgetSection {
    /// Most the node may ever commit to deals, attoFIL.
    pub total_attofil: String,
    /// Most it may commit to deals within any 2,880 epochs, attoFIL. Empty: no such limit.
    pub per_day_attofil: String,
    /// Most it may ever commit to deals for one owner of jobs, attoFIL. Empty: no such limit.
    pub per_tenant_attofil: String,
    /// Most it may ever commit to deals for one holding, which is all jobs of one owner for one CID, attoFIL.
    /// Empty: no such limit.
    pub per_holding_attofil: String,
    /// Most that gas may cost within any 2,880 epochs, attoFIL, each transaction counted at the most it can cost.
    pub gas_per_day_attofil: String,
    /// Kept in the wallet for gas, attoFIL.
    pub wallet_reserve_attofil: String,
}

impl Default for BudgetSection {
    fn default() -> Self {
        Self {
            total_attofil: "100000000000000000000".to_owned(),
            per_day_attofil: String::new(),
            per_tenant_attofil: String::new(),
            per_holding_attofil: String::new(),
            gas_per_day_attofil: "10000000000000000000".to_owned(),
            wallet_reserve_attofil: "1000000000000000000".to_owned(),
        }
    }
}

/// Where payloads are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings", default)]
pub struct SourcesSection {
    /// Trustless gateways, base URLs, tried in order. One on this machine or its network, as that of a Kubo node beside this one, is
    /// named by its address or as `localhost`.
    pub gateways: Vec<String>,
    /// Largest payload fetched, in GiB.
    pub fetch_max_gib: Option<u64>,
}

/// The node's own copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings", default)]
pub struct StoreSection {
    /// Stays free on the disk of the pieces, in MiB: less refuses uploads and fetches later, and the store may then
    /// find no room for what was signed. 0 keeps nothing free.
    pub reserve_mib: u64,
    /// Hours after which bytes are deleted that nothing keeps any more. 0: only by `raas store gc`.
    pub gc_after_hours: u32,
    /// Pace at which local bytes are hashed again, in MiB a second. Too fast takes the disk from readers. 0: never.
    pub scrub_mib_per_second: u32,
    /// Days until a piece is hashed again.
    pub scrub_every_days: u32,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self { reserve_mib: 1_024, gc_after_hours: 168, scrub_mib_per_second: 8, scrub_every_days: 30 }
    }
}

/// Who is given bytes by the data listener, in which forms, and how many at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings", default)]
pub struct GatewaySection {
    /// `/ipfs` gives plain files and lists of directories besides CARs and blocks. Browsers want them; nobody can check
    /// them, and pages that anybody uploaded are then pages of this address. Empty: on a devnet only.
    pub plain_files: Option<bool>,
    /// `/piece` gives pieces and aggregates to anyone, not only to providers that know a deal's secret.
    pub public_pieces: bool,
    /// Answers to all clients under way at once; more are turned away with 503. Each holds up to 2 MiB.
    pub answers: u32,
    /// Answers to one client (an IPv4 address, or an IPv6 network of 64 bits) under way at once; more are turned away with
    /// 429. Providers with a deal's secret are not counted.
    pub answers_per_client: u32,
    /// Requests of one client in a second, on average over ten; more are turned away with 429.
    pub requests_per_second: u32,
    /// A reader that takes nothing for so long is cut off, in milliseconds. Too short cuts slow lines, too long lets idle
    /// ones hold answers.
    pub stall_ms: u64,
    /// Addresses of reverse proxies of your own: whom they name last in `X-Forwarded-For` is the client.
    pub proxies: Vec<IpAddr>,
}

impl Default for GatewaySection {
    fn default() -> Self {
        Self {
            plain_files: None,
            public_pieces: false,
            answers: 256,
            answers_per_client: 64,
            requests_per_second: 200,
            stall_ms: 30_000,
            proxies: Vec::new(),
        }
    }
}

/// A Kubo node that DAGs are imported into and exported from by command. The node itself does not speak to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings", default)]
pub struct KuboSection {
    /// Its RPC, `http` or `https`, without `/api/v0`.
    pub url: String,
    /// File with the bearer token that the RPC wants, readable by its owner only.
    pub token_file: Option<PathBuf>,
}

impl Default for KuboSection {
    /// Where Kubo listens by default.
    fn default() -> Self {
        Self { url: "http://127.0.0.1:5001".to_owned(), token_file: None }
    }
}
