//! Which network the endpoints speak for: established when the node starts, checked at every endpoint before it is
//! believed, after each failure to reach it, and before a transaction leaves.

use super::wire::TipSet;
use crate::rpc::{Call, CallError, Pool, Reply};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What makes a network this one and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Such as `mainnet` or `calibrationnet`.
    pub network_name: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// CID of the genesis block.
    pub genesis_cid: String,
    /// Genesis in seconds since 1970.
    pub genesis_unix: i64,
    /// Seconds per epoch.
    pub block_delay_secs: u64,
}

impl Identity {
    /// Whether both are one network. Name and times follow from the genesis, and some nodes spell them differently.
    #[must_use]
    pub fn is_same_network(&self, other: &Self) -> bool {
        self.chain_id == other.chain_id && self.genesis_cid == other.genesis_cid
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, chain id {}, genesis {}", self.network_name, self.chain_id, self.genesis_cid)
    }
}

/// Why the network is not established.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Too few endpoints tell. Later more may.
    #[error(
        "{answered} of {wanted} wanted RPC endpoints tell which network they serve; {endpoint}: {source}"
    )]
    TooFew {
        /// How many told.
        answered: usize,
        /// How many must.
        wanted: usize,
        /// One that did not.
        endpoint: String,
        /// Its error.
        source: CallError,
    },
    /// Two endpoints serve different networks.
    #[error(
        "the RPC endpoints {first} and {second} serve different networks; configure endpoints of one network"
    )]
    Differ {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
}

/// The network of all endpoints that answer. One that serves another network is an error, never outvoted.
pub async fn identify(pool: &Pool) -> Result<Identity, IdentityError> {
    let names: Vec<String> = pool.names().map(str::to_owned).collect();
    let told = join_all((0..names.len()).map(|at| identify_one(pool, at))).await;
    let mut found: Option<(String, Identity)> = None;
    let mut answered = 0;
    let mut failed = None;
    for (name, told) in names.into_iter().zip(told) {
        match told {
            Ok(identity) => {
                answered += 1;
                match &found {
                    None => found = Some((name, identity)),
                    Some((first, known)) if !known.is_same_network(&identity) => {
                        return Err(IdentityError::Differ { first: first.clone(), second: name });
                    }
                    Some(_) => {}
                }
            }
            Err(error) => failed = Some((name, error)),
        }
    }
    match (found, failed) {
        (Some((_, identity)), _) if answered >= pool.wanted() => Ok(identity),
        (_, failed) => {
            let (endpoint, source) =
                failed.unwrap_or_else(|| (String::new(), CallError::malformed("no endpoint was asked")));
            Err(IdentityError::TooFew { answered, wanted: pool.wanted(), endpoint, source })
        }
    }
}

/// The network that endpoint `at` serves, whatever the pool expects.
pub async fn identify_one(pool: &Pool, at: usize) -> Result<Identity, CallError> {
    let calls = identity_calls();
    identity_of(pool.ask_stranger(at, &calls.iter().collect::<Vec<_>>()).await)
}

/// What an endpoint is asked for to know its network.
pub(crate) fn identity_calls() -> [Call; 4] {
    ["Filecoin.StateNetworkName", "eth_chainId", "Filecoin.ChainGetGenesis", "Filecoin.StateGetNetworkParams"]
        .map(|method| Call::new(method, vec![]))
}

/// The network by the answers to [`identity_calls`].
pub(crate) fn identity_of(answers: Vec<Result<Reply, CallError>>) -> Result<Identity, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Params {
        block_delay_secs: u64,
    }
    let mut answers = answers.into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Err(CallError::malformed("no answer")));
    let network_name: String = next()?.read()?;
    let chain_id: String = next()?.read()?;
    let genesis: TipSet = next()?.read()?;
    let params: Params = next()?.read()?;
    let chain_id = crate::evm::quantity(&chain_id)?;
    let (Some(cid), Some(block)) = (genesis.cids.first(), genesis.blocks.first()) else {
        return Err(CallError::malformed("a genesis without a block"));
    };
    Ok(Identity {
        network_name,
        chain_id,
        genesis_cid: cid.cid.clone(),
        genesis_unix: block.timestamp,
        block_delay_secs: params.block_delay_secs,
    })
}
