//! The second witness for a single endpoint's logs: the contract's state.
//!
//! Every event that is followed changes the contract's storage, and the actor's `Head` is the root of that. So equal
//! roots before and after a span say that nothing happened in it, at the cost of two calls however long it is; where
//! they differ, halving finds the blocks that changed it, and their receipts have the logs. State and log index are
//! different parts of a node: a hole in the one does not show in the other.

use super::logs::{LogIdentity, WireLog, identified};
use super::quantity::hex_number;
use super::window::Scope;
use crate::address::Address;
use crate::filecoin::{Link, TipSet, key_of_text, key_value};
use crate::rpc::{Call, CallError, Evidence, Unknown};
use alloy_primitives::B256;
use raas_core::ports::Witness;
use raas_core::units::Epoch;
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Heights looked at in one walk. A span that changes more often is walked in parts.
const MARKS_MAX: usize = 200;
/// Blocks whose receipts are read one by one, where the state tells nothing.
const RECEIPTS_MAX: i64 = 60;

type Logs = BTreeMap<LogIdentity, WireLog>;

/// The logs with what was found besides.
pub(super) struct Walked {
    pub(super) logs: Logs,
    pub(super) witness: Witness,
    pub(super) unexplained: Vec<Epoch>,
}

/// Checks the logs that endpoint `at` gave for `from..=to`, and adds those that it left out.
pub(super) async fn walk(
    scope: Scope<'_>,
    at: usize,
    told: &Logs,
    from: i64,
    to: i64,
) -> Result<Walked, CallError> {
    match changed(scope, at, from, to).await {
        Ok(changed) => by_state(scope, at, told, &changed).await,
        Err(CallError::Unknown(Unknown::NotOffered(_) | Unknown::MissingState(_))) => {
            by_receipts(scope, at, told, from, to).await
        }
        Err(error) => Err(error),
    }
}

async fn by_state(
    scope: Scope<'_>,
    at: usize,
    told: &Logs,
    changed: &BTreeSet<i64>,
) -> Result<Walked, CallError> {
    // A log without a change of state was never emitted.
    if told.values().any(|log| !changed.contains(&log.block())) {
        return Err(CallError::Unknown(Unknown::Contradiction));
    }
    let mut logs = Logs::new();
    let mut unexplained = Vec::new();
    for block in changed {
        let found = match receipts(scope, at, *block).await {
            Ok(found) => found,
            Err(CallError::Unknown(Unknown::NotOffered(_) | Unknown::MissingState(_))) => {
                return Ok(Walked { logs: told.clone(), witness: Witness::None, unexplained });
            }
            Err(error) => return Err(error),
        };
        if found.is_empty() {
            unexplained.push(Epoch(*block));
        }
        logs.extend(identified(found.into_iter().filter(WireLog::is_followed).collect()));
    }
    same_or_more(scope, at, told, &logs)?;
    Ok(Walked { logs, witness: Witness::State, unexplained })
}

async fn by_receipts(
    scope: Scope<'_>,
    at: usize,
    told: &Logs,
    from: i64,
    to: i64,
) -> Result<Walked, CallError> {
    if to - from >= RECEIPTS_MAX {
        let text = format!("receipts are read one by one (maximum: {RECEIPTS_MAX})");
        return Err(CallError::TooMuch(text));
    }
    let mut logs = Logs::new();
    for block in from..=to {
        match receipts(scope, at, block).await {
            Ok(found) => logs.extend(identified(found.into_iter().filter(WireLog::is_followed).collect())),
            Err(CallError::Unknown(Unknown::NotOffered(_) | Unknown::MissingState(_))) => {
                return Ok(Walked { logs: told.clone(), witness: Witness::None, unexplained: Vec::new() });
            }
            Err(error) => return Err(error),
        }
    }
    same_or_more(scope, at, told, &logs)?;
    Ok(Walked { logs, witness: Witness::Receipts, unexplained: Vec::new() })
}

/// The receipts have every log that was told; more of them say that the index has a hole.
fn same_or_more(scope: Scope<'_>, at: usize, told: &Logs, found: &Logs) -> Result<(), CallError> {
    if told.keys().any(|identity| !found.contains_key(identity)) {
        return Err(CallError::Unknown(Unknown::Contradiction));
    }
    let hidden = found.len() - told.len();
    if hidden > 0 {
        let endpoint = scope.pool.names().nth(at);
        tracing::warn!(endpoint, hidden, "logs left out, found in the receipts");
    }
    Ok(())
}

/// All logs of the contract in one block, by the block's receipts; none at a null round.
pub(super) async fn receipts(scope: Scope<'_>, at: usize, block: i64) -> Result<Vec<WireLog>, CallError> {
    #[derive(Deserialize)]
    struct Receipt {
        #[serde(default)]
        logs: Option<Vec<WireLog>>,
    }
    let call = Call::new("eth_getBlockReceipts", vec![hex_number(block)]);
    let receipts: Option<Vec<Receipt>> = match scope.pool.ask_at(at, &call).await {
        Ok(value) => value.read()?,
        Err(CallError::Evidence(Evidence::NullRound(_))) => None,
        Err(error) => return Err(error),
    };
    let logs = receipts.into_iter().flatten().flat_map(|receipt| receipt.logs.unwrap_or_default());
    let own = super::logs::among(logs.collect(), scope.contract, block, block);
    let mut logs: Vec<WireLog> = own.into_values().collect();
    logs.sort_by_key(WireLog::order);
    Ok(logs)
}

/// Who sent the transaction `hash` of `block`, by the block's receipts.
pub(super) async fn sender_by_receipts(
    pool: &crate::rpc::Pool,
    block: Epoch,
    hash: B256,
) -> Result<Option<alloy_primitives::Address>, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Receipt {
        transaction_hash: B256,
        from: alloy_primitives::Address,
    }
    let call = Call::new("eth_getBlockReceipts", vec![hex_number(block.0)]);
    let receipts: Option<Vec<Receipt>> = pool.read(call).await?;
    let mut receipts = receipts.into_iter().flatten();
    Ok(receipts.find(|receipt| receipt.transaction_hash == hash).map(|receipt| receipt.from))
}

/// What is behind a height: the first tipset above it, and the contract's root in its state, which is the root after
/// every block up to the height.
#[derive(Clone, Debug)]
struct Mark {
    next: i64,
    root: Option<String>,
}

/// The blocks of `from..=to` that changed the contract's storage.
async fn changed(scope: Scope<'_>, at: usize, from: i64, to: i64) -> Result<BTreeSet<i64>, CallError> {
    let mut marks: BTreeMap<i64, Mark> = BTreeMap::new();
    let mut changed = BTreeSet::new();
    let mut spans = vec![(from - 1, to)];
    while let Some((low, high)) = spans.pop() {
        let (before, after) =
            (mark(scope, at, low, &mut marks).await?, mark(scope, at, high, &mut marks).await?);
        if before.root == after.root {
            continue;
        }
        let first = before.next;
        if first > high {
            // No block lies between, so nothing can have changed: the two answers are of different states.
            return Err(CallError::Unknown(Unknown::Contradiction));
        }
        let behind_first = mark(scope, at, first, &mut marks).await?;
        if behind_first.root != before.root {
            changed.insert(first);
        }
        if behind_first.root != after.root {
            let middle = first.midpoint(high);
            spans.push((first, middle));
            spans.push((middle, high));
        }
    }
    Ok(changed)
}

async fn mark(
    scope: Scope<'_>,
    at: usize,
    height: i64,
    marks: &mut BTreeMap<i64, Mark>,
) -> Result<Mark, CallError> {
    if let Some(mark) = marks.get(&height) {
        return Ok(mark.clone());
    }
    if marks.len() >= MARKS_MAX {
        return Err(CallError::TooMuch("the state changes too often".to_owned()));
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Actor {
        head: Link,
    }
    let tip = key_of_text(&scope.round.tipset);
    let call = Call::new("Filecoin.ChainGetTipSetAfterHeight", vec![json!(height + 1), tip]);
    let next: TipSet = scope.pool.ask_at(at, &call).await?.read()?;
    let address = Address::from_eth(scope.contract).to_string();
    let call = Call::new("Filecoin.StateGetActor", vec![json!(address), key_value(&next.cids)]);
    let root = match scope.pool.ask_at(at, &call).await {
        Ok(value) => Some(value.read::<Actor>()?.head.cid),
        // Not deployed yet.
        Err(CallError::Evidence(Evidence::ActorNotFound)) => None,
        Err(error) => return Err(error),
    };
    let mark = Mark { next: next.height, root };
    marks.insert(height, mark.clone());
    Ok(mark)
}
