//! Sending signed bytes, and what the answers mean.

use super::KeyWallet;
use crate::evm::quantity;
use crate::filecoin::{Link, TipSet};
use crate::rpc::{Call, CallError, Reply, Unknown};
use raas_core::ports::{Broadcast, Lane, SignedTx};
use serde_json::{Value, json};

/// Texts of a mempool that has these very bytes.
const KNOWN: [&str; 4] = ["already exists", "already known", "already in mpool", "already imported"];
/// Texts of a mempool that has a later nonce on chain.
const NONCE_LOW: [&str; 2] = ["nonce too low", "minimum expected nonce"];

/// Hands the bytes to one endpoint after the other until one has them. No endpoint gets them twice, and the
/// bytes are always the same, so nothing can happen twice. An endpoint that serves another network gets nothing: a
/// native message would be valid there, too.
pub(super) async fn broadcast(wallet: &KeyWallet, lane: Lane, tx: &SignedTx) -> Broadcast {
    let call = match lane {
        Lane::Evm => Call::new("eth_sendRawTransaction", vec![json!(format!("0x{}", hex::encode(&tx.raw)))]),
        Lane::Native => match serde_json::from_slice::<Value>(&tx.raw) {
            Ok(message) => Call::new("Filecoin.MpoolPush", vec![message]),
            Err(error) => return Broadcast::Refused(format!("the stored message is no JSON: {error}")),
        },
    };
    let mut outcome: Option<Broadcast> = None;
    for at in wallet.pool.order() {
        if let Err(why) = same_network(wallet, at).await {
            outcome.get_or_insert(Broadcast::Refused(why));
            continue;
        }
        let answer = match wallet.pool.ask_at(at, &call).await {
            Ok(value) => {
                if name(lane, &value).as_deref() != Some(tx.hash.as_str()) {
                    tracing::warn!(tx.hash, "the endpoint took the transaction under another name");
                }
                Broadcast::Taken
            }
            Err(error) => refusal(error),
        };
        outcome = match (answer, outcome) {
            (answer @ (Broadcast::Taken | Broadcast::AlreadyKnown | Broadcast::NonceTooLow), _) => {
                return answer;
            }
            // Once one endpoint may have it, the refusal of another does not unmake that.
            (_, Some(Broadcast::Uncertain(reason))) => Some(Broadcast::Uncertain(reason)),
            (answer, _) => Some(answer),
        };
    }
    outcome.unwrap_or_else(|| Broadcast::Refused("there is no endpoint".to_owned()))
}

/// Whether the endpoint serves the network that the wallet is for, asked before every send.
async fn same_network(wallet: &KeyWallet, at: usize) -> Result<(), String> {
    let unknown = |error: CallError| format!("the endpoint does not tell which network it serves: {error}");
    let chain_id = wallet.pool.ask_at(at, &Call::new("eth_chainId", vec![])).await.map_err(unknown)?;
    let chain_id: String = chain_id.read().map_err(unknown)?;
    let found = quantity(&chain_id).ok();
    let wanted = wallet.config.chain_id;
    if found != Some(wanted) {
        return Err(format!("the endpoint serves chain id {chain_id}, not {wanted}: nothing was sent to it"));
    }
    let Some(genesis) = &wallet.config.genesis else { return Ok(()) };
    let answer =
        wallet.pool.ask_at(at, &Call::new("Filecoin.ChainGetGenesis", vec![])).await.map_err(unknown)?;
    let tipset: TipSet = answer.read().map_err(unknown)?;
    if tipset.cids.first().is_none_or(|link| link.cid != *genesis) {
        return Err("the endpoint's chain has another genesis: nothing was sent to it".to_owned());
    }
    Ok(())
}

fn name(lane: Lane, value: &Reply) -> Option<String> {
    match lane {
        Lane::Evm => value.read::<String>().ok().map(|hash| hash.to_ascii_lowercase()),
        Lane::Native => value.read::<Link>().ok().map(|link| link.cid),
    }
}

/// What an error of a send means. Only a mempool's own words are a refusal.
fn refusal(error: CallError) -> Broadcast {
    let words = match error {
        CallError::Retry { reason, .. } => return Broadcast::Uncertain(reason),
        CallError::Unknown(Unknown::Malformed(reason)) | CallError::TooMuch(reason) => {
            return Broadcast::Uncertain(reason);
        }
        CallError::Unknown(Unknown::Other { message, .. }) => message,
        CallError::Unknown(unknown) => unknown.to_string(),
        CallError::Evidence(evidence) => evidence.to_string(),
    };
    let text = words.to_ascii_lowercase();
    if KNOWN.iter().any(|known| text.contains(known)) {
        Broadcast::AlreadyKnown
    } else if NONCE_LOW.iter().any(|low| text.contains(low)) {
        Broadcast::NonceTooLow
    } else {
        Broadcast::Refused(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Reached;

    #[test]
    fn a_mempools_words_are_told_apart() {
        let said = |message: &str| {
            refusal(CallError::Unknown(Unknown::Other { code: 1, message: message.to_owned() }))
        };
        for known in ["message with nonce already exists", "already known"] {
            assert_eq!(said(known), Broadcast::AlreadyKnown, "{known}");
        }
        for low in ["minimum expected nonce is 5, got 3: message nonce too low", "nonce too low"] {
            assert_eq!(said(low), Broadcast::NonceTooLow, "{low}");
        }
        for refused in [
            "unfulfilled nonce gap",
            "replace by fee has too low GasPremium",
            "too many pending messages for actor",
            "gas fee cap too low",
            "not enough funds",
        ] {
            assert_eq!(said(refused), Broadcast::Refused(refused.to_owned()));
        }
    }

    #[test]
    fn a_lost_answer_is_uncertain() {
        for reached in [Reached::No, Reached::Perhaps] {
            let lost = CallError::Retry { reason: "timed out".to_owned(), reached };
            assert_eq!(refusal(lost), Broadcast::Uncertain("timed out".to_owned()));
        }
        for unread in
            [CallError::Unknown(Unknown::Malformed("cut".to_owned())), CallError::TooMuch("cut".to_owned())]
        {
            assert_eq!(refusal(unread), Broadcast::Uncertain("cut".to_owned()));
        }
    }
}
