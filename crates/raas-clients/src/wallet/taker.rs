//! Who used a nonce: found by halving the heights between which the account's nonce passed it, and then read from the
//! messages of that one tipset.
//!
//! Endpoints forget transactions by their hash after 20 epochs, but keep states and blocks for a day. So this works
//! where a look-up by hash says null, and it never takes a forgotten hash for somebody else's transaction.

use super::KeyWallet;
use super::lanes::read_nonce;
use crate::address::Address;
use crate::evm::{hex_number, quantity};
use crate::filecoin::{Link, TipSet, key_value};
use crate::rpc::{Call, CallError, Reply, Unknown};
use alloy_primitives::Address as EthAddress;
use raas_core::ports::{Inclusion, Lane, Taker};
use raas_core::units::{EPOCHS_PER_DAY, Epoch};
use serde::Deserialize;
use serde_json::{Value, json};

/// The taker of `nonce` that `wanted` endpoints name alike.
pub(super) async fn taker(
    wallet: &KeyWallet,
    lane: Lane,
    nonce: u64,
    since: Epoch,
) -> Result<Taker, CallError> {
    let mut named: Option<Taker> = None;
    let (mut count, mut failed) = (0, None);
    for at in wallet.pool.order() {
        let search = Search { wallet, at, lane, nonce };
        match search.run(since).await {
            Ok(taker) if named.as_ref().is_none_or(|known| *known == taker) => {
                named = Some(taker);
                count += 1;
            }
            Ok(_) => return Err(CallError::Unknown(Unknown::Contradiction)),
            Err(error) => failed = Some(error),
        }
        if count >= wallet.pool.wanted() {
            break;
        }
    }
    match named {
        Some(taker) if count >= wallet.pool.wanted() => Ok(taker),
        _ => Err(failed.unwrap_or(CallError::Unknown(Unknown::Unconfirmed))),
    }
}

/// One endpoint's view.
struct Search<'a> {
    wallet: &'a KeyWallet,
    at: usize,
    lane: Lane,
    nonce: u64,
}

impl Search<'_> {
    async fn ask(&self, method: &'static str, params: Vec<Value>) -> Result<Reply, CallError> {
        self.wallet.pool.ask_at(self.at, &Call::new(method, params)).await
    }

    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        method: &'static str,
        params: Vec<Value>,
    ) -> Result<T, CallError> {
        self.ask(method, params).await?.read()
    }

    async fn run(&self, since: Epoch) -> Result<Taker, CallError> {
        let last = self.finalized().await?;
        if self.used_at(last).await? <= self.nonce {
            return Ok(Taker::Nobody);
        }
        // What was signed before heights were noted is looked for in the last day.
        let earliest = if since.0 > 0 { since.0 - 1 } else { last - EPOCHS_PER_DAY };
        let (mut before, mut after) = (earliest.clamp(0, last), last);
        if self.used_at(before).await? > self.nonce {
            return Err(CallError::malformed("the nonce was used before it was given"));
        }
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.used_at(middle).await? > self.nonce {
                after = middle;
            } else {
                before = middle;
            }
        }
        match self.lane {
            Lane::Evm => self.in_block(after).await,
            Lane::Native => self.in_parent_of(after).await,
        }
    }

    /// The finalized height.
    async fn finalized(&self) -> Result<i64, CallError> {
        match self.lane {
            Lane::Evm => {
                let block: Block =
                    self.read("eth_getBlockByNumber", vec![json!("finalized"), json!(false)]).await?;
                i64::try_from(quantity(&block.number)?).map_err(CallError::malformed)
            }
            Lane::Native => Ok(self.read::<TipSet>("Filecoin.ChainGetFinalizedTipSet", vec![]).await?.height),
        }
    }

    /// The account's next nonce: after the block's transactions (EVM), before the tipset's messages (native).
    async fn used_at(&self, height: i64) -> Result<u64, CallError> {
        let answer = match self.lane {
            Lane::Evm => {
                let address = json!(self.wallet.eth_address());
                self.ask("eth_getTransactionCount", vec![address, hex_number(height)]).await
            }
            Lane::Native => {
                let tipset = self.tipset("Filecoin.ChainGetTipSetByHeight", height).await?;
                let address = json!(self.wallet.native_address().to_string());
                self.ask("Filecoin.StateGetActor", vec![address, key_value(&tipset.cids)]).await
            }
        };
        read_nonce(self.lane, answer)
    }

    async fn tipset(&self, method: &'static str, height: i64) -> Result<TipSet, CallError> {
        self.read(method, vec![json!(height), json!([])]).await
    }

    async fn in_block(&self, height: i64) -> Result<Taker, CallError> {
        let block: Block = self.read("eth_getBlockByNumber", vec![hex_number(height), json!(true)]).await?;
        let us = self.wallet.eth_address();
        let mut hash = None;
        for transaction in block.transactions {
            let sent: Sent = serde_json::from_value(transaction).map_err(CallError::malformed)?;
            if sent.from == us && quantity(&sent.nonce)? == self.nonce {
                hash = Some(sent.hash.to_ascii_lowercase());
            }
        }
        let hash = hash.ok_or_else(not_there)?;
        let receipts: Vec<EthReceipt> = self.read("eth_getBlockReceipts", vec![hex_number(height)]).await?;
        let receipt = receipts
            .iter()
            .find(|receipt| receipt.transaction_hash.eq_ignore_ascii_case(&hash))
            .ok_or_else(not_there)?;
        let success = quantity(&receipt.status)? == 1;
        Ok(Taker::Tx { hash, inclusion: Inclusion { block: Epoch(height), success } })
    }

    /// The tipset at `height` is the first whose state shows the nonce used: its parent has the message.
    async fn in_parent_of(&self, height: i64) -> Result<Taker, CallError> {
        let tipset = self.tipset("Filecoin.ChainGetTipSetByHeight", height).await?;
        let first = tipset.cids.first().ok_or_else(not_there)?;
        let messages: Vec<ParentMessage> =
            self.read("Filecoin.ChainGetParentMessages", vec![json!(first)]).await?;
        let receipts: Vec<NativeReceipt> =
            self.read("Filecoin.ChainGetParentReceipts", vec![json!(first)]).await?;
        let parent: TipSet = self.read("Filecoin.ChainGetTipSet", vec![key_value(tipset.parents())]).await?;
        let us = self.wallet.native_address();
        let found = messages.iter().zip(&receipts).find(|(message, _)| {
            message.message.nonce == self.nonce
                && message.message.from.parse::<Address>().ok().as_ref() == Some(&us)
        });
        let (message, receipt) = found.ok_or_else(not_there)?;
        let inclusion = Inclusion { block: Epoch(parent.height), success: receipt.exit_code == 0 };
        Ok(Taker::Tx { hash: message.cid.cid.clone(), inclusion })
    }
}

fn not_there() -> CallError {
    CallError::malformed("the tipset in which the nonce was used does not show by what")
}

#[derive(Deserialize)]
struct Block {
    number: String,
    #[serde(default)]
    transactions: Vec<Value>,
}

#[derive(Deserialize)]
struct Sent {
    from: EthAddress,
    nonce: String,
    hash: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EthReceipt {
    transaction_hash: String,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ParentMessage {
    cid: Link,
    message: MessageHead,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MessageHead {
    from: String,
    nonce: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NativeReceipt {
    exit_code: i64,
}
