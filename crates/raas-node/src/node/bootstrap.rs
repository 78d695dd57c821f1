//! What a devnet lets a node do for itself: fund its key, find the providers, deploy the contract.
//!
//! On a network with value none of this happens; there all of it comes from the configuration.

use crate::failpoint;
use crate::settings::ContractAt;
use crate::store::{self, Store};
use alloy_primitives::Bytes;
use raas_clients::evm::{AbiKind, Artifact, ArtifactError, DeploySettings, created_address};
use raas_clients::rpc::{Call, CallError, Pool};
use raas_clients::wallet::KeyWallet;
use raas_core::ids::{ContractAddress, ProviderId};
use raas_core::ports::{Broadcast, Effect, Lane, Wallet};
use raas_core::units::{AttoFil, Epoch};
use serde_json::{Value, json};
use std::time::Duration;

/// An account with less is filled up.
const FUND_BELOW: AttoFil = AttoFil::fil(100);
/// To this much.
const FUND: AttoFil = AttoFil::fil(1_000);
/// Epochs a deployment is given.
const DEPLOY_EPOCHS: u32 = 20;
/// Epochs that one is given whose nonce is used.
const BEHIND_EPOCHS: u32 = 3;
/// Looks within an epoch, while the clock runs by itself.
const LOOKS_PER_EPOCH: u32 = 100;
/// Deployments begun anew before it is given up.
const PLANS_MAX: u32 = 5;
/// Where the store keeps the library's nonce and the first block of a deployment.
const PLAN_MARK: &str = "devnet deployment";
/// Where the store keeps the contract's address and first block.
const CONTRACT_MARK: &str = "devnet contract";
/// Pause between two looks for a receipt while the clock runs by itself.
const RECEIPT_POLL: Duration = Duration::from_millis(50);

/// Why a devnet cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A control method failed.
    #[error("the devnet does not answer {method}")]
    Control {
        /// Which.
        method: &'static str,
        /// Why.
        source: CallError,
    },
    /// An answer has an unknown shape.
    #[error("the devnet's answer to {0} is not understood")]
    Shape(&'static str),
    /// The contract did not get there.
    #[error("the contract was not deployed: {0}")]
    Deploy(String),
    /// The pool has transactions of the account that an endpoint's nonce does not count.
    #[error("the account has transactions on their way: {0}")]
    Behind(String),
    /// The artifact is broken.
    #[error("the contract artifact")]
    Artifact(#[source] ArtifactError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
}

/// Whether the endpoint is a devnet: it tells `devnet_now`.
pub async fn is_devnet(pool: &Pool) -> bool {
    pool.read::<Value>(Call::new("devnet_now", vec![])).await.is_ok()
}

async fn control(pool: &Pool, method: &'static str, params: Vec<Value>) -> Result<Value, BootstrapError> {
    pool.read(Call::new(method, params)).await.map_err(|source| BootstrapError::Control { method, source })
}

/// All providers of the devnet.
pub async fn providers(pool: &Pool) -> Result<Vec<ProviderId>, BootstrapError> {
    const METHOD: &str = "devnet_providers";
    let list = control(pool, METHOD, vec![]).await?;
    let ids = list.as_array().map(|providers| {
        providers
            .iter()
            .filter_map(|provider| provider["id"].as_str()?.get(2..)?.parse().ok().map(ProviderId::new))
            .collect::<Vec<_>>()
    });
    ids.filter(|ids| !ids.is_empty()).ok_or(BootstrapError::Shape(METHOD))
}

/// Fills both accounts of the wallet up, once: a wallet that was spent empty on purpose stays so.
pub async fn fund(pool: &Pool, wallet: &KeyWallet, store: &Store) -> Result<(), BootstrapError> {
    const MARK: &str = "devnet funded";
    if store.meta(MARK).await?.is_some() {
        return Ok(());
    }
    let accounts =
        [(Lane::Native, wallet.native_address().to_string()), (Lane::Evm, wallet.eth_address().to_string())];
    for (lane, address) in accounts {
        let has = wallet.balance(lane).await.unwrap_or(AttoFil::ZERO);
        if has < FUND_BELOW {
            let fund = control(pool, "devnet_fund", vec![json!(address), json!(FUND.to_string())]);
            failpoint::around("devnet.fund", fund).await?;
        }
    }
    step(pool).await?;
    store.put_meta(MARK, "yes").await?;
    Ok(())
}

/// Lets time pass where it stands still until it is told to go: two epochs, so that a message and its receipt
/// have a tipset each.
async fn step(pool: &Pool) -> Result<(), BootstrapError> {
    let now = control(pool, "devnet_now", vec![]).await?;
    if now["epoch_ms"] == json!(0) {
        control(pool, "devnet_advance", vec![json!(2)]).await?;
    } else {
        tokio::time::sleep(RECEIPT_POLL).await;
    }
    Ok(())
}

/// The contract this store deployed before, or a new one. What is deployed under which nonces is stored before anything
/// leaves, and a process that died in between is gone on from: its transactions may still be in the pool.
pub async fn contract(pool: &Pool, wallet: &KeyWallet, store: &Store) -> Result<ContractAt, BootstrapError> {
    let mut behind = String::new();
    for _ in 0..PLANS_MAX {
        if let Some(there) = deployed(pool, store).await? {
            return Ok(there);
        }
        match deploy(pool, wallet, store).await {
            Err(BootstrapError::Behind(why)) => {
                behind = why;
                store.put_meta(PLAN_MARK, "").await?;
            }
            done => return done,
        }
    }
    Err(BootstrapError::Deploy(behind))
}

async fn deployed(pool: &Pool, store: &Store) -> Result<Option<ContractAt>, BootstrapError> {
    let Some(stored) = store.meta(CONTRACT_MARK).await? else { return Ok(None) };
    let Some((address, block)) = stored.split_once(' ') else { return Ok(None) };
    let Ok(block) = block.parse() else { return Ok(None) };
    if !has_code(pool, address).await? {
        return Ok(None);
    }
    let address = address.parse().map_err(|_| BootstrapError::Shape("the stored contract"))?;
    Ok(Some(own(address, block)))
}

async fn deploy(pool: &Pool, wallet: &KeyWallet, store: &Store) -> Result<ContractAt, BootstrapError> {
    let artifact = Artifact::shipped().map_err(BootstrapError::Artifact)?;
    let (nonce, block) = plan(pool, wallet, store).await?;
    // The library first, then the contract: both addresses follow from the nonce.
    let library = created_address(wallet.eth_address(), nonce);
    let address = ContractAddress(created_address(wallet.eth_address(), nonce.saturating_add(1)).0.0);
    store.put_meta(CONTRACT_MARK, &format!("{address} {block}")).await?;
    if !has_code(pool, &format!("{library:#x}")).await? {
        create(pool, wallet, artifact.library(), nonce).await?;
    }
    let settings = DeploySettings::of(wallet.eth_address());
    create(pool, wallet, artifact.contract(library, &settings), nonce.saturating_add(1)).await?;
    Ok(own(address, block))
}

/// The library's nonce and the first block, as they were planned, or planned now.
async fn plan(pool: &Pool, wallet: &KeyWallet, store: &Store) -> Result<(u64, i64), BootstrapError> {
    let planned = store.meta(PLAN_MARK).await?.unwrap_or_default();
    if let Some((nonce, block)) = planned.split_once(' ')
        && let (Ok(nonce), Ok(block)) = (nonce.parse(), block.parse())
    {
        return Ok((nonce, block));
    }
    let head = control(pool, "devnet_now", vec![]).await?;
    let block = head["height"].as_i64().ok_or(BootstrapError::Shape("devnet_now"))?;
    let nonce = nonce(wallet).await?;
    store.put_meta(PLAN_MARK, &format!("{nonce} {block}")).await?;
    Ok((nonce, block))
}

const fn own(address: ContractAddress, block: i64) -> ContractAt {
    ContractAt { address, from_block: Epoch(block), skip_to: None, abi: AbiKind::Raas }
}

async fn nonce(wallet: &KeyWallet) -> Result<u64, BootstrapError> {
    let nonce = wallet.chain_nonce(Lane::Evm).await;
    nonce.map_err(|_| BootstrapError::Deploy("the nonce could not be read".to_owned()))
}

/// Sends init code under `nonce` and waits until there is code at the address that it creates.
async fn create(pool: &Pool, wallet: &KeyWallet, code: Bytes, nonce: u64) -> Result<(), BootstrapError> {
    let address = format!("{:#x}", created_address(wallet.eth_address(), nonce));
    let signed = match wallet.deploy(code, nonce).await {
        Effect::Done(signed) => signed,
        Effect::Failed(why) | Effect::Uncertain(why) => return Err(BootstrapError::Deploy(why)),
    };
    // A nonce that is used may be used by this very deployment: the code shows it.
    let behind = match failpoint::around("devnet.deploy", wallet.broadcast(Lane::Evm, &signed)).await {
        Broadcast::Taken | Broadcast::AlreadyKnown | Broadcast::Uncertain(_) => None,
        Broadcast::NonceTooLow => Some("its nonce is used".to_owned()),
        Broadcast::Refused(why) => Some(why),
    };
    let epochs = if behind.is_some() { BEHIND_EPOCHS } else { DEPLOY_EPOCHS };
    for _ in 0..epochs * LOOKS_PER_EPOCH {
        step(pool).await?;
        if has_code(pool, &address).await? {
            return Ok(());
        }
    }
    Err(match behind {
        Some(why) => BootstrapError::Behind(why),
        None => BootstrapError::Deploy("no tipset has executed it".to_owned()),
    })
}

async fn has_code(pool: &Pool, address: &str) -> Result<bool, BootstrapError> {
    const METHOD: &str = "eth_getCode";
    let code = control(pool, METHOD, vec![json!(address), json!("latest")]).await?;
    Ok(code.as_str().is_some_and(|code| code.len() > 2))
}
