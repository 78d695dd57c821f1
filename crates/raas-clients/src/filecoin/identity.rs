//! Which network the endpoints speak for, checked when the node starts and before money is used.

use super::wire::TipSet;
use crate::rpc::{Call, CallError, Pool};
use serde::Deserialize;
use serde_json::Value;

/// What makes a network this one and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Why the network is not established.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Too few endpoints tell.
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
    let mut found: Option<(String, Identity)> = None;
    let mut answered = 0;
    let mut failed = None;
    for (at, name) in pool.names().enumerate() {
        match identify_one(pool, at).await {
            Ok(identity) => {
                answered += 1;
                match &found {
                    None => found = Some((name.to_owned(), identity)),
                    Some((first, known)) if *known != identity => {
                        return Err(IdentityError::Differ { first: first.clone(), second: name.to_owned() });
                    }
                    Some(_) => {}
                }
            }
            Err(error) => failed = Some((name.to_owned(), error)),
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

async fn identify_one(pool: &Pool, at: usize) -> Result<Identity, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Params {
        block_delay_secs: u64,
    }
    async fn read<T: serde::de::DeserializeOwned>(
        pool: &Pool,
        at: usize,
        method: &'static str,
    ) -> Result<T, CallError> {
        let value: Value = pool.ask_at(at, &Call::new(method, vec![])).await?;
        serde_json::from_value(value).map_err(CallError::malformed)
    }
    let network_name: String = read(pool, at, "Filecoin.StateNetworkName").await?;
    let chain_id: String = read(pool, at, "eth_chainId").await?;
    let genesis: TipSet = read(pool, at, "Filecoin.ChainGetGenesis").await?;
    let params: Params = read(pool, at, "Filecoin.StateGetNetworkParams").await?;
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
