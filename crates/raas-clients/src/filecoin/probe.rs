//! What an endpoint can do: which of the methods that the node prefers it lacks, how far back it tells state, and how
//! many blocks of logs it gives at once. Found once, and again when it comes back after a failure.

use super::wire::{TipSet, key_value};
use crate::rpc::{Abilities, Call, CallError, Evidence, Pool, Unknown};
use serde_json::{Value, json};

/// Asked without parameters, which a method that is there refuses as too few and one that is not as unknown. All of
/// them only read, and none can be done without parameters.
const METHODS: [&str; 18] = [
    "Filecoin.ChainGetTipSetByHeight",
    "Filecoin.ChainGetTipSetAfterHeight",
    "Filecoin.ChainReadObj",
    "Filecoin.StateCall",
    "Filecoin.StateGetActor",
    "Filecoin.StateReadState",
    "Filecoin.StateSearchMsg",
    "Filecoin.StateMarketStorageDeal",
    "Filecoin.StateMinerInfo",
    "Filecoin.StateMinerSectorCount",
    "Filecoin.StateMinerFaults",
    "Filecoin.StateMinerPartitions",
    "Filecoin.StateSectorGetInfo",
    "Filecoin.StateSectorExpiration",
    "Filecoin.GetActorEventsRaw",
    "eth_call",
    "eth_getBlockReceipts",
    "eth_getTransactionByHash",
];
/// Depths at which state is tried, in epochs: finality, the common limits of public endpoints, a week, 42 days.
const DEPTHS: [i64; 5] = [900, 1_990, 2_870, 20_160, 120_960];
/// Widths of log queries that are tried.
const WIDTHS: [i64; 4] = [2_880, 2_000, 500, 60];

/// Finds out what endpoint `at` can do, below its head at `head`.
pub(super) async fn probe(pool: &Pool, at: usize, head: i64) -> Abilities {
    let calls: Vec<Call> = METHODS.iter().map(|method| Call::new(method, vec![])).collect();
    // What it lacks is remembered where its answers are sorted.
    pool.ask_many_at(at, &calls.iter().collect::<Vec<_>>(), false).await;
    let abilities = Abilities {
        state_epochs: state_epochs(pool, at, head).await,
        log_blocks: log_blocks(pool, at, head).await,
    };
    tracing::debug!(at, ?abilities, "probed an endpoint");
    abilities
}

async fn state_epochs(pool: &Pool, at: usize, head: i64) -> i64 {
    let mut deepest = 0;
    for depth in DEPTHS {
        let height = head.saturating_sub(depth);
        if height < 0 || !tells_state(pool, at, height).await {
            break;
        }
        deepest = depth;
    }
    deepest
}

async fn tells_state(pool: &Pool, at: usize, height: i64) -> bool {
    let by_height = Call::new("Filecoin.ChainGetTipSetByHeight", vec![json!(height), Value::Null]);
    let Ok(Ok(tipset)) = pool.ask_at(at, &by_height).await.map(serde_json::from_value::<TipSet>) else {
        return false;
    };
    let actor = Call::new("Filecoin.StateGetActor", vec![json!("f05"), key_value(&tipset.cids)]);
    pool.ask_at(at, &actor).await.is_ok()
}

/// The widest query that is not refused for its width. Logs of an address that nobody has are few.
async fn log_blocks(pool: &Pool, at: usize, head: i64) -> i64 {
    let to = head.saturating_sub(2).max(0);
    for width in WIDTHS {
        let from = to.saturating_sub(width - 1).max(0);
        let filter = json!({
            "fromBlock": format!("0x{from:x}"), "toBlock": format!("0x{to:x}"),
            "address": "0x00000000000000000000000000000000000fffff",
        });
        match pool.ask_at(at, &Call::new("eth_getLogs", vec![filter])).await {
            Ok(_) => return width,
            Err(
                CallError::Evidence(Evidence::RangeTooWide(_)) | CallError::Unknown(Unknown::MissingState(_)),
            ) => {}
            Err(_) => return 0,
        }
    }
    0
}
