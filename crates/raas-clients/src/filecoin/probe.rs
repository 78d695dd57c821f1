//! What an endpoint can do: which of the methods that the node prefers it lacks, how far back it tells state, and how
//! many blocks of logs it gives at once. Found once, and again when it comes back after a failure.

use super::wire::{TipSet, key_value};
use crate::rpc::{Abilities, Call, CallError, Pool, Unknown};
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
/// Between a depth that is kept and one that is not, it is measured to so many epochs.
const DEPTH_STEP: i64 = 60;
/// The widest log query that is tried: more is never asked for.
const WIDTH_MAX: i64 = 2_880;

/// Finds out what endpoint `at` can do, below its head at `head`.
pub(super) async fn probe(pool: &Pool, at: usize, head: i64) -> Abilities {
    let calls: Vec<Call> = METHODS.iter().map(|method| Call::new(method, vec![])).collect();
    // What it lacks is remembered where its answers are sorted.
    pool.ask_many_at(at, &calls.iter().collect::<Vec<_>>(), false).await;
    let (state_epochs, state_refused) = state_epochs(pool, at, head).await;
    let abilities = Abilities { state_epochs, state_refused, log_blocks: log_blocks(pool, at, head).await };
    tracing::debug!(at, ?abilities, "probed an endpoint");
    abilities
}

/// How deep state is kept at least, and the nearest depth that was refused, if one was.
async fn state_epochs(pool: &Pool, at: usize, head: i64) -> (i64, Option<i64>) {
    let mut kept = 0;
    let mut refused = None;
    for depth in DEPTHS {
        match keeps_state(pool, at, head.saturating_sub(depth)).await {
            Some(true) => kept = depth,
            Some(false) => {
                refused = Some(depth);
                break;
            }
            None => break,
        }
    }
    while let Some(nearest) = refused.filter(|nearest| nearest - kept > DEPTH_STEP) {
        let middle = kept.midpoint(nearest);
        match keeps_state(pool, at, head.saturating_sub(middle)).await {
            Some(true) => kept = middle,
            Some(false) => refused = Some(middle),
            None => break,
        }
    }
    (kept, refused)
}

/// Whether state of `height` is kept; `None` where there is none, or where that cannot be told.
async fn keeps_state(pool: &Pool, at: usize, height: i64) -> Option<bool> {
    if height < 0 {
        return None;
    }
    let told = |error: &CallError| matches!(error, CallError::Unknown(Unknown::MissingState(_)));
    let by_height = Call::new("Filecoin.ChainGetTipSetByHeight", vec![json!(height), Value::Null]);
    let tipset: TipSet = match pool.ask_at(at, &by_height).await {
        Ok(answer) => answer.read().ok()?,
        Err(error) => return told(&error).then_some(false),
    };
    let actor = Call::new("Filecoin.StateGetActor", vec![json!("f05"), key_value(&tipset.cids)]);
    match pool.ask_at(at, &actor).await {
        Ok(_) => Some(true),
        Err(error) => told(&error).then_some(false),
    }
}

/// How a query for logs went.
enum Width {
    Given,
    /// It is too wide, and the endpoint may say how much it gives.
    Refused(Option<i64>),
    /// It gives none, or cannot be asked.
    Nothing,
}

/// The widest query that is not refused for its width: what the endpoint names, else by halving.
async fn log_blocks(pool: &Pool, at: usize, head: i64) -> i64 {
    let (mut given, mut refused) = (0, WIDTH_MAX + 1);
    let (mut next, mut is_named) = (WIDTH_MAX, false);
    while next > given && next < refused {
        let named = match ask_logs(pool, at, head, next).await {
            // As it says itself.
            Width::Given if is_named => return next,
            Width::Given => {
                given = next;
                None
            }
            Width::Refused(named) => {
                refused = next;
                named
            }
            Width::Nothing => return given,
        };
        let named = named.filter(|named| (given + 1..refused).contains(named));
        is_named = named.is_some();
        next = named.unwrap_or(given.midpoint(refused));
    }
    given
}

/// Logs of an address that nobody has are few.
async fn ask_logs(pool: &Pool, at: usize, head: i64, width: i64) -> Width {
    let to = head.saturating_sub(2).max(0);
    let from = to.saturating_sub(width - 1).max(0);
    let filter = json!({
        "fromBlock": format!("0x{from:x}"), "toBlock": format!("0x{to:x}"),
        "address": "0x00000000000000000000000000000000000fffff",
    });
    match pool.ask_at(at, &Call::new("eth_getLogs", vec![filter])).await {
        Ok(_) => Width::Given,
        Err(CallError::TooMuch(text)) => Width::Refused(crate::evm::allowed(&text)),
        // So far back it keeps none.
        Err(CallError::Unknown(Unknown::MissingState(_))) => Width::Refused(None),
        Err(_) => Width::Nothing,
    }
}
