//! Nonces, balances and inclusions of the two accounts, as the chain has them.

use super::KeyWallet;
use crate::evm::quantity;
use crate::filecoin::{Link, TipSet, key_value};
use crate::rpc::{Call, CallError, Evidence, Reply, Unknown};
use raas_core::ports::{Inclusion, Lane, Nonces};
use raas_core::units::{AttoFil, Epoch};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Actor {
    nonce: u64,
}

/// The next nonces that the chain's state has not used. At the head the highest that any endpoint tells counts, since
/// one behind a load balancer may go back; at the finalized tipset what `wanted` endpoints tell.
pub(super) async fn nonces(wallet: &KeyWallet, lane: Lane) -> Result<Nonces, CallError> {
    let head = told(wallet, lane, wallet.pool.ask_all(&nonce_call(wallet, lane, None)).await)?;
    let finalized = match lane {
        Lane::Evm => wallet.pool.ask_all(&nonce_call(wallet, lane, Some(json!("finalized")))).await,
        Lane::Native => {
            let call = Call::new("Filecoin.ChainGetFinalizedTipSet", vec![]);
            let tipset = wallet.pool.read::<TipSet>(call).await?;
            wallet.pool.ask_all(&nonce_call(wallet, lane, Some(key_value(&tipset.cids)))).await
        }
    };
    let mut finalized = told(wallet, lane, finalized)?;
    finalized.sort_unstable_by(|one, other| other.cmp(one));
    let agreed = finalized.get(wallet.pool.wanted().saturating_sub(1)).copied().unwrap_or(0);
    let highest = head.into_iter().chain(finalized).max().unwrap_or(0);
    Ok(Nonces { head: highest, finalized: agreed })
}

/// The nonce at the head, or at a block tag or tipset key.
fn nonce_call(wallet: &KeyWallet, lane: Lane, at: Option<Value>) -> Call {
    match lane {
        Lane::Evm => {
            let at = at.unwrap_or_else(|| json!("latest"));
            Call::new("eth_getTransactionCount", vec![json!(wallet.eth_address()), at])
        }
        Lane::Native => {
            let address = json!(wallet.native_address().to_string());
            Call::new("Filecoin.StateGetActor", vec![address, at.unwrap_or(Value::Null)])
        }
    }
}

/// What the endpoints tell, at least `wanted` of them.
fn told(
    wallet: &KeyWallet,
    lane: Lane,
    answers: Vec<Result<Reply, CallError>>,
) -> Result<Vec<u64>, CallError> {
    let mut told = Vec::new();
    let mut failed = None;
    for answer in answers {
        match read_nonce(lane, answer) {
            Ok(nonce) => told.push(nonce),
            Err(error) => failed = Some(error),
        }
    }
    if told.len() < wallet.pool.wanted() {
        return Err(failed.unwrap_or(CallError::Unknown(Unknown::Unconfirmed)));
    }
    Ok(told)
}

pub(super) fn read_nonce(lane: Lane, answer: Result<Reply, CallError>) -> Result<u64, CallError> {
    match (lane, answer) {
        // An account that was never used on chain begins at 0.
        (_, Err(CallError::Evidence(Evidence::ActorNotFound))) => Ok(0),
        (_, Err(error)) => Err(error),
        (Lane::Evm, Ok(value)) => quantity(&value.read::<String>()?),
        (Lane::Native, Ok(value)) => value.read::<Actor>().map(|actor| actor.nonce),
    }
}

/// What the account of `lane` owns at the head.
pub(super) async fn balance(wallet: &KeyWallet, lane: Lane) -> Result<AttoFil, CallError> {
    let malformed = |text: &str| CallError::malformed(format!("{text:?} is no amount"));
    match lane {
        Lane::Native => {
            let address = json!(wallet.native_address().to_string());
            let text: String = wallet.pool.read(Call::new("Filecoin.WalletBalance", vec![address])).await?;
            text.parse().map_err(|_| malformed(&text))
        }
        Lane::Evm => {
            let params = vec![json!(wallet.eth_address()), json!("latest")];
            let text: String = wallet.pool.read(Call::new("eth_getBalance", params)).await?;
            let digits = text.strip_prefix("0x").ok_or_else(|| malformed(&text))?;
            u128::from_str_radix(digits, 16).map(AttoFil).map_err(|_| malformed(&text))
        }
    }
}

/// Where a transaction was executed. One endpoint that has it is enough; none has it only when `wanted` say so.
pub(super) async fn included(
    wallet: &KeyWallet,
    lane: Lane,
    hash: &str,
) -> Result<Option<Inclusion>, CallError> {
    let call = match lane {
        Lane::Evm => Call::new("eth_getTransactionReceipt", vec![json!(hash)]),
        // Another message in this one's place is not this one: replaced messages are not wanted.
        Lane::Native => {
            Call::new("Filecoin.StateSearchMsg", vec![json!([]), json!({"/": hash}), json!(-1), json!(false)])
        }
    };
    let mut absent = 0;
    let mut failed = None;
    for at in wallet.pool.order() {
        match wallet.pool.ask_at(at, &call).await {
            Ok(value) if value.is_null() => absent += 1,
            Ok(value) => {
                return match lane {
                    Lane::Evm => receipt(&value),
                    Lane::Native => search(wallet, at, &value).await,
                }
                .map(Some);
            }
            Err(error) => failed = Some(error),
        }
    }
    if absent >= wallet.pool.wanted() {
        Ok(None)
    } else {
        Err(failed.unwrap_or(CallError::Unknown(Unknown::Unconfirmed)))
    }
}

fn receipt(value: &Reply) -> Result<Inclusion, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Receipt {
        block_number: String,
        status: String,
    }
    let receipt: Receipt = value.read()?;
    let block = i64::try_from(quantity(&receipt.block_number)?).map_err(CallError::malformed)?;
    Ok(Inclusion { block: Epoch(block), success: quantity(&receipt.status)? == 1 })
}

/// The search names the tipset that executed the message; its parent included it.
async fn search(wallet: &KeyWallet, at: usize, value: &Reply) -> Result<Inclusion, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Found {
        receipt: Receipt,
        tip_set: Vec<Link>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Receipt {
        exit_code: i64,
    }
    let found: Found = value.read()?;
    let tipset = |key: Value| async {
        let value = wallet.pool.ask_at(at, &Call::new("Filecoin.ChainGetTipSet", vec![key])).await?;
        value.read::<TipSet>()
    };
    let executed = tipset(key_value(&found.tip_set)).await?;
    let included = tipset(key_value(executed.parents())).await?;
    Ok(Inclusion { block: Epoch(included.height), success: found.receipt.exit_code == 0 })
}
