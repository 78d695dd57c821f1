//! The contract's logs in a window of blocks, and what vouches for them.
//!
//! A log index has holes: real nodes have answered an empty list for a block with 55 logs. So no answer counts alone.
//! Several endpoints are compared log by log, and where they differ the receipts of that block give further voices.
//! One alone is checked against the contract's state and the receipts of the blocks that changed it, which are kept
//! apart from the index. A window that is too wide for an endpoint is made narrower.

use super::logs::{LogIdentity, TOPICS, WireLog, identified, read};
use super::quantity::hex_number;
use super::witness::{receipts, walk};
use crate::rpc::{Call, CallError, Pool, Reply, Unknown};
use alloy_primitives::Address as EthAddress;
use futures_util::future::join_all;
use raas_core::observation::Round;
use raas_core::ports::Witness;
use raas_core::units::Epoch;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Most blocks in one query: fits the caps of known providers.
const WINDOW: i64 = 2_000;
/// A window is not made narrower than this for the sake of a second endpoint.
const NARROW: i64 = 60;
/// Lotus refuses more results than this; some older nodes leave the rest out without a word.
const RESULTS_MAX: usize = 10_000;

/// Where the logs are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) pool: &'a Pool,
    pub(super) contract: EthAddress,
    pub(super) round: &'a Round,
}

/// A window's logs and their witness.
#[derive(Debug)]
pub(super) struct Certified {
    pub(super) logs: Vec<WireLog>,
    pub(super) witness: Witness,
    pub(super) unexplained: Vec<Epoch>,
}

type Logs = BTreeMap<LogIdentity, WireLog>;

/// A log, and which endpoints told it.
struct Told {
    log: WireLog,
    voices: BTreeSet<usize>,
}

/// The logs in `from..=to`.
pub(super) async fn certified(scope: Scope<'_>, from: Epoch, to: Epoch) -> Result<Certified, CallError> {
    let mut whole: Option<Certified> = None;
    let mut width = WINDOW;
    let mut next = from.0.max(0);
    while next <= to.0 {
        let end = next.saturating_add(width - 1).min(to.0);
        match window(scope, next, end).await {
            Ok(part) => {
                whole = Some(match whole {
                    None => part,
                    Some(whole) => whole.joined(part),
                });
                next = end.saturating_add(1);
            }
            Err(CallError::TooMuch(text)) if end > next => {
                let asked = end - next + 1;
                // What an endpoint says it gives is asked for; without a word of that, half.
                width = allowed(&text).filter(|allowed| *allowed < asked).unwrap_or(asked / 2).max(1);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(whole.unwrap_or(Certified { logs: Vec::new(), witness: Witness::None, unexplained: Vec::new() }))
}

impl Certified {
    fn joined(mut self, other: Self) -> Self {
        self.logs.extend(other.logs);
        self.unexplained.extend(other.unexplained);
        // The weakest part counts for the whole.
        let (none, receipts) = (Witness::None, Witness::Receipts);
        self.witness = match (self.witness, other.witness) {
            (Witness::None, _) | (_, Witness::None) => none,
            (Witness::Endpoints(a), Witness::Endpoints(b)) => Witness::Endpoints(a.min(b)),
            (Witness::State, Witness::State) => Witness::State,
            _ => receipts,
        };
        self
    }
}

/// `N` of "exceeds maximum of N" and "(maximum: N)".
pub(crate) fn allowed(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once("maximum of ").or_else(|| text.split_once("maximum: "))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|allowed| *allowed > 0)
}

async fn window(scope: Scope<'_>, from: i64, to: i64) -> Result<Certified, CallError> {
    let Scope { pool, contract, .. } = scope;
    let filter = json!({
        "fromBlock": hex_number(from), "toBlock": hex_number(to), "address": contract, "topics": [TOPICS],
    });
    let mut voices: Vec<(usize, Logs)> = Vec::new();
    let mut failed = None;
    let call = Call::new("eth_getLogs", vec![filter]);
    let width = to - from + 1;
    for (at, answer) in ask_each(pool, &call, width).await.into_iter().enumerate() {
        match answer.and_then(|value| read(&value, contract, from, to)) {
            Ok(logs) if logs.len() >= RESULTS_MAX && from < to => {
                let text = format!("{} logs at once are perhaps not all", logs.len());
                return Err(CallError::TooMuch(text));
            }
            Ok(logs) => voices.push((at, logs)),
            Err(error) => failed = Some(worse(failed, error)),
        }
    }
    // A second voice is worth a narrower window, but not one of single blocks: the state vouches, too.
    let narrow = voices.len() < pool.len().min(2) && to - from >= NARROW;
    match failed {
        Some(error @ CallError::TooMuch(_)) if narrow || voices.len() < pool.wanted() => {
            return Err(error);
        }
        Some(error) if voices.len() < pool.wanted() => return Err(error),
        _ => {}
    }
    match voices.as_slice() {
        [] => Err(CallError::malformed("no endpoint was asked")),
        [(at, logs)] => alone(scope, *at, logs, from, to).await,
        _ => together(scope, voices).await,
    }
}

/// What each endpoint answers. None is asked for more blocks at once than it is known to give, and what it refuses is
/// learned.
async fn ask_each(pool: &Pool, call: &Call, width: i64) -> Vec<Result<Reply, CallError>> {
    join_all((0..pool.len()).map(|at| async move {
        if let Some(most) = pool.log_blocks(at).filter(|most| *most < width) {
            let text = format!("{width} blocks at once are more than it gives (maximum: {most})");
            return Err(CallError::TooMuch(text));
        }
        let answer = pool.ask_at(at, call).await;
        if let Err(CallError::TooMuch(text)) = &answer
            && let Some(most) = allowed(text).filter(|most| *most < width)
        {
            pool.learn_log_blocks(at, most);
        }
        answer
    }))
    .await
}

/// Of two failures the one that says more of what to do: a range that is too wide, then whatever may pass, and only
/// when nothing else is known that the blocks are too old.
fn worse(known: Option<CallError>, error: CallError) -> CallError {
    let rank = |error: &CallError| match error {
        CallError::TooMuch(_) => 0,
        CallError::Unknown(Unknown::MissingState(_)) => 2,
        _ => 1,
    };
    match known {
        Some(known) if rank(&known) <= rank(&error) => known,
        _ => error,
    }
}

/// Several endpoints: a log counts when `wanted` of them tell it.
async fn together(scope: Scope<'_>, voices: Vec<(usize, Logs)>) -> Result<Certified, CallError> {
    let count = voices.len();
    let ends: Vec<usize> = voices.iter().map(|(at, _)| *at).collect();
    let mut tally: BTreeMap<LogIdentity, Told> = BTreeMap::new();
    for (at, logs) in voices {
        add(&mut tally, at, logs)?;
    }
    let disputed: BTreeSet<i64> =
        tally.values().filter(|told| told.voices.len() < count).map(|told| told.log.block()).collect();
    for block in &disputed {
        for at in &ends {
            // One that does not tell its receipts adds nothing.
            let Ok(found) = receipts(scope, *at, *block).await else { continue };
            let followed = found.into_iter().filter(WireLog::is_followed).collect();
            let before = tally.values().filter(|told| told.voices.contains(at)).count();
            add(&mut tally, *at, identified(followed))?;
            let after = tally.values().filter(|told| told.voices.contains(at)).count();
            if after > before {
                let endpoint = scope.pool.names().nth(*at);
                tracing::warn!(
                    endpoint,
                    block,
                    hidden = after - before,
                    "logs left out, found in the receipts"
                );
            }
        }
    }
    if tally.values().any(|told| told.voices.len() < scope.pool.wanted()) {
        return Err(CallError::Unknown(Unknown::Contradiction));
    }
    let mut logs: Vec<WireLog> = tally.into_values().map(|told| told.log).collect();
    logs.sort_by_key(WireLog::order);
    let witness = Witness::Endpoints(u32::try_from(count).unwrap_or(u32::MAX));
    Ok(Certified { logs, witness, unexplained: Vec::new() })
}

/// Counts a voice for each log. One log in two blocks is told by endpoints on two chains.
fn add(tally: &mut BTreeMap<LogIdentity, Told>, at: usize, logs: Logs) -> Result<(), CallError> {
    for (identity, log) in logs {
        let told =
            tally.entry(identity).or_insert_with(|| Told { log: log.clone(), voices: BTreeSet::new() });
        if told.log.block() != log.block() {
            return Err(CallError::Unknown(Unknown::Contradiction));
        }
        told.voices.insert(at);
    }
    Ok(())
}

/// One endpoint: its logs are checked against its state and its receipts.
async fn alone(scope: Scope<'_>, at: usize, logs: &Logs, from: i64, to: i64) -> Result<Certified, CallError> {
    let walked = walk(scope, at, logs, from, to).await?;
    let mut all: Vec<WireLog> = walked.logs.into_values().collect();
    all.sort_by_key(WireLog::order);
    Ok(Certified { logs: all, witness: walked.witness, unexplained: walked.unexplained })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_endpoint_allows_is_read_from_its_words() {
        assert_eq!(allowed("block range exceeds maximum of 2880 (got 3000)"), Some(2_880));
        assert_eq!(allowed("range between to and 'from' heights is too large (maximum: 500)"), Some(500));
        assert_eq!(allowed("filter matches too many events"), None);
        assert_eq!(allowed("exceeds maximum of 0"), None);
    }

    #[test]
    fn too_old_is_said_only_when_nothing_else_is_known() {
        let old = || CallError::Unknown(Unknown::MissingState("old".to_owned()));
        let wide = || CallError::TooMuch("wide".to_owned());
        let strange = || CallError::malformed("x");
        assert_eq!(worse(None, old()), old());
        assert_eq!(worse(Some(old()), strange()), strange());
        assert_eq!(worse(Some(strange()), old()), strange());
        assert_eq!(worse(Some(strange()), wide()), wide());
    }
}
