//! What a devnet is made from. The same configuration and the same commands give the same history.
//!
//! Everything here is parsed and checked by [`Config::check`] before anything binds. Fields that shape history
//! are stored in the journal's header; ports, paths and the initial speed of the clock are not.

use raas_core::{
    ids::{ActorId, ProviderId},
    units::{AttoFil, PaddedSize},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// How a devnet is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Everything that looks random is derived from this.
    pub seed: u64,
    /// Wall-clock milliseconds per epoch; 0 means that only `devnet_advance` moves the clock.
    pub epoch_ms: u64,
    /// 28, or 29 (claims and the verified registry refuse mutations, f05 goes on).
    pub network_version: u32,
    /// What `StateNetworkName` answers.
    pub network_name: String,
    /// What `eth_chainId` answers; 31415926 is the number of local devnets.
    pub chain_id: u64,
    /// The head when the world begins. Above zero, so that epochs look like those of a real network.
    pub start_height: i64,
    /// Unix time of epoch 0 in seconds. Absent: chosen at start so that the head is now when the clock runs by
    /// wall time, else fixed.
    pub genesis_unix: Option<u64>,
    /// Seconds of chain time per epoch.
    pub block_delay_secs: u64,
    /// The most blocks of a tipset; each has between one and this many.
    pub blocks_per_tipset: u32,
    /// How many epochs the finalized tipset lies behind the head, as with a healthy F3.
    pub finality_lag: i64,
    /// Epochs between a provider's first verified transfer and its publish message (deals arriving in between
    /// share the batch).
    pub publish_delay: i64,
    /// Epochs between publication and the sector's activation.
    pub seal_delay: i64,
    /// The first deal id this network gives out; every id below it counts as removed long ago.
    pub first_deal_id: u64,
    /// Lets providers pull from loopback and private addresses. Real providers refuse them.
    pub allow_private: bool,
    /// The port of the chain RPC on 127.0.0.1; 0 picks a free one, also for every provider. Otherwise provider
    /// number `i` listens on `port + 1 + i`.
    pub port: u16,
    /// Where commands are journaled and pieces kept. Absent: nothing survives the process.
    pub data_dir: Option<PathBuf>,
    /// The storage providers.
    pub providers: Vec<ProviderConfig>,
}

/// One storage provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its miner actor.
    pub id: ProviderId,
    /// The owner actor, common to all miners of one operator.
    pub operator: ActorId,
    /// The worker actor, which sends its messages.
    pub worker: ActorId,
    /// Price per GiB and epoch.
    pub ask: AttoFil,
    /// The smallest padded piece it takes.
    pub min_piece: PaddedSize,
    /// The largest padded piece it takes.
    pub max_piece: PaddedSize,
    /// How it answers the status of a deal.
    pub status: StatusStyle,
}

/// How a provider answers `/market/mk12/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StatusStyle {
    /// Checkpoints, publish CID and deal id, as Boost.
    Boost,
    /// "Processing" until sealed and never a deal id, as Curio.
    Curio,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Only two network versions are modelled.
    #[error("network_version is {0}: use 28 or 29")]
    NetworkVersion(u32),
    /// Heights and delays count epochs.
    #[error("{field} is {value}: use at least {least}")]
    TooSmall {
        /// The field at fault.
        field: &'static str,
        /// What was given.
        value: i64,
        /// The smallest value that works.
        least: i64,
    },
    /// Two providers may share an operator but never an id.
    #[error("providers names {0} twice: give every provider its own id")]
    DuplicateProvider(ProviderId),
    /// The ports of the providers follow the RPC port.
    #[error("port {port} leaves no room for {providers} provider ports: use 0 or a lower port")]
    PortRange {
        /// The RPC port.
        port: u16,
        /// How many ports must follow it.
        providers: usize,
    },
    /// Actor numbers below 1000 belong to the system, and accounts to ids from 10,000 up.
    #[error("providers: actor number {0} is outside 1000..10000")]
    ActorRange(u64),
}

impl Config {
    /// Checks every field; nothing has been bound or written yet.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !matches!(self.network_version, 28 | 29) {
            return Err(ConfigError::NetworkVersion(self.network_version));
        }
        let least = [
            ("start_height", self.start_height, 2_880),
            ("finality_lag", self.finality_lag, 1),
            ("blocks_per_tipset", i64::from(self.blocks_per_tipset), 1),
            ("publish_delay", self.publish_delay, 1),
            ("seal_delay", self.seal_delay, 1),
            ("block_delay_secs", i64::try_from(self.block_delay_secs).unwrap_or(i64::MAX), 1),
        ];
        for (field, value, least) in least {
            if value < least {
                return Err(ConfigError::TooSmall { field, value, least });
            }
        }
        let mut seen = BTreeSet::new();
        for provider in &self.providers {
            if !seen.insert(provider.id) {
                return Err(ConfigError::DuplicateProvider(provider.id));
            }
            for actor in [provider.id.0, provider.operator, provider.worker] {
                if !(1_000..10_000).contains(&actor.0) {
                    return Err(ConfigError::ActorRange(actor.0));
                }
            }
        }
        let last_port = usize::from(self.port) + self.providers.len();
        if self.port != 0 && last_port > usize::from(u16::MAX) {
            return Err(ConfigError::PortRange { port: self.port, providers: self.providers.len() });
        }
        Ok(())
    }

    /// Unix seconds of epoch 0 when none is configured: the start is then 2026-11-21T00:00:00Z.
    #[must_use]
    pub fn genesis_unix(&self) -> u64 {
        const START_UNIX: u64 = 1_795_219_200;
        let elapsed = u64::try_from(self.start_height).unwrap_or(0).saturating_mul(self.block_delay_secs);
        self.genesis_unix.unwrap_or_else(|| START_UNIX.saturating_sub(elapsed))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            epoch_ms: 0,
            network_version: 28,
            network_name: "raas-devnet".to_owned(),
            chain_id: 31_415_926,
            start_height: 5_000_000,
            genesis_unix: None,
            block_delay_secs: 30,
            blocks_per_tipset: 5,
            finality_lag: 20,
            publish_delay: 10,
            seal_delay: 60,
            first_deal_id: 100,
            allow_private: false,
            port: 0,
            data_dir: None,
            providers: default_providers(),
        }
    }
}

/// Eight providers of seven operators: f01000 and f01001 belong together, f01002 and f01005 answer as Curio,
/// f01007 takes nothing under 1 GiB.
fn default_providers() -> Vec<ProviderConfig> {
    let operators = [1_100_u64, 1_100, 1_101, 1_102, 1_103, 1_104, 1_105, 1_106];
    let size = |bytes: u64| PaddedSize::new(bytes).expect("a power of two between 128 and 64 GiB");
    operators
        .into_iter()
        .zip(0_u64..)
        .map(|(operator, index)| ProviderConfig {
            id: ProviderId::new(1_000 + index),
            operator: ActorId(operator),
            worker: ActorId(1_200 + index),
            ask: AttoFil(1_000_000_000 + u128::from(index) * 50_000_000),
            min_piece: if index == 7 { size(1 << 30) } else { size(128) },
            max_piece: size(32 << 30),
            status: if matches!(index, 2 | 5) { StatusStyle::Curio } else { StatusStyle::Boost },
        })
        .collect()
}
