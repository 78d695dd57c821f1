//! Whether an endpoint's log queries tell all that its own state and receipts have: for the doctor, who looks at each
//! endpoint alone, where a pass looks at what all of them tell together.

use super::logs::{TOPICS, read};
use super::quantity::hex_number;
use super::window::Scope;
use super::witness::walk;
use crate::rpc::{Call, CallError, Evidence, Pool};
use alloy_primitives::{Address as EthAddress, B256, Bytes};
use raas_core::observation::Round;
use raas_core::units::Epoch;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// The newest blocks of a contract that are looked at.
const NEWEST: i64 = 60;
/// The newest blocks among which one with logs of anybody is looked for.
const ANYBODYS: i64 = 20;

/// What an endpoint's log queries are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogsSeen {
    /// They have all that its receipts have, as far as was looked.
    Whole,
    /// They lack logs that the block's receipts have.
    LeftOut {
        /// The block.
        block: Epoch,
        /// How many.
        count: usize,
    },
    /// A contract's state changed, and neither queries nor receipts have an event of it.
    Unexplained {
        /// The block.
        block: Epoch,
    },
}

/// Looks at each endpoint alone, at the newest final blocks of `contracts` and at the newest one with logs of anybody.
/// In the endpoints' order; an error is of one that cannot be looked at.
pub async fn logs_seen(
    pool: &Pool,
    round: &Round,
    contracts: &[EthAddress],
) -> Vec<Result<LogsSeen, CallError>> {
    let each = (0..pool.len()).map(|at| async move {
        for contract in contracts {
            let scope = Scope { pool, contract: *contract, round };
            let seen = of_contract(scope, at).await?;
            if seen != LogsSeen::Whole {
                return Ok(seen);
            }
        }
        of_anybody(pool, at, round.eth_block.0).await
    });
    futures_util::future::join_all(each).await
}

async fn of_contract(scope: Scope<'_>, at: usize) -> Result<LogsSeen, CallError> {
    let to = scope.round.eth_block.0;
    let width = scope.pool.log_blocks(at).map_or(NEWEST, |most| most.min(NEWEST));
    let from = to.saturating_sub(width.max(1) - 1).max(0);
    let filter = json!({
        "fromBlock": hex_number(from), "toBlock": hex_number(to), "address": scope.contract, "topics": [TOPICS],
    });
    let answer = scope.pool.ask_at(at, &Call::new("eth_getLogs", vec![filter])).await?;
    let told = read(&answer, scope.contract, from, to)?;
    let walked = walk(scope, at, &told, from, to).await?;
    let hidden: Vec<i64> = walked
        .logs
        .iter()
        .filter(|(identity, _)| !told.contains_key(identity))
        .map(|(_, log)| log.block())
        .collect();
    Ok(match (hidden.iter().max(), walked.unexplained.first()) {
        (Some(block), _) => LogsSeen::LeftOut {
            block: Epoch(*block),
            count: hidden.iter().filter(|other| *other == block).count(),
        },
        (None, Some(block)) => LogsSeen::Unexplained { block: *block },
        (None, None) => LogsSeen::Whole,
    })
}

/// A log as far as it tells itself from others in its block.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Anybodys {
    address: EthAddress,
    transaction_hash: B256,
    topics: Vec<B256>,
    data: Bytes,
}

/// The newest block with logs, of whatever address: the query for that address must have all of its logs there.
async fn of_anybody(pool: &Pool, at: usize, to: i64) -> Result<LogsSeen, CallError> {
    #[derive(Deserialize)]
    struct Receipt {
        #[serde(default)]
        logs: Option<Vec<Anybodys>>,
    }
    for block in (to.saturating_sub(ANYBODYS - 1).max(0)..=to).rev() {
        let call = Call::new("eth_getBlockReceipts", vec![hex_number(block)]);
        let receipts: Option<Vec<Receipt>> = match pool.ask_at(at, &call).await {
            Ok(value) => value.read()?,
            Err(CallError::Evidence(Evidence::NullRound(_))) => continue,
            Err(error) => return Err(error),
        };
        let mut logs = receipts.into_iter().flatten().flat_map(|receipt| receipt.logs.unwrap_or_default());
        let Some(first) = logs.next() else { continue };
        let address = first.address;
        let mut missing: BTreeMap<Anybodys, usize> = BTreeMap::new();
        for log in std::iter::once(first).chain(logs.filter(|log| log.address == address)) {
            *missing.entry(log).or_default() += 1;
        }
        let filter =
            json!({ "fromBlock": hex_number(block), "toBlock": hex_number(block), "address": address });
        let answer = pool.ask_at(at, &Call::new("eth_getLogs", vec![filter])).await?;
        let told: Option<Vec<Anybodys>> = answer.read()?;
        for log in told.unwrap_or_default() {
            if let Some(count) = missing.get_mut(&log) {
                *count = count.saturating_sub(1);
            }
        }
        let count = missing.values().sum();
        return Ok(if count > 0 {
            LogsSeen::LeftOut { block: Epoch(block), count }
        } else {
            LogsSeen::Whole
        });
    }
    Ok(LogsSeen::Whole)
}
