//! Pinning a round: the head, and a finalized tipset that enough endpoints name alike.

use super::wire::{TipSet, key_value};
use crate::rpc::{Call, CallError, Pool, Unknown};
use futures_util::future::join;
use raas_core::observation::Round;
use raas_core::ports::Pin;
use raas_core::units::Epoch;
use serde_json::{Value, json};

/// Where an endpoint that has no notion of finality is taken to be final.
const FINALITY: i64 = 900;

/// What one endpoint says.
struct View {
    at: usize,
    head: i64,
    finalized: TipSet,
}

/// Head and finalized tipset. Among `wanted` endpoints the one that is furthest behind sets both, so that all
/// of them can answer at this tipset; fewer than `wanted` that agree are told, not hidden.
pub(super) async fn pin(pool: &Pool) -> Result<Pin, CallError> {
    let (heads, finals) = join(
        pool.ask_all(&Call::new("Filecoin.ChainHead", vec![])),
        pool.ask_all(&Call::new("Filecoin.ChainGetFinalizedTipSet", vec![])),
    )
    .await;
    let mut views = Vec::new();
    let mut first_error = None;
    for (at, (head, finalized)) in heads.into_iter().zip(finals).enumerate() {
        match view(pool, at, head, finalized).await {
            Ok(view) => views.push(view),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    let enough = pool.wanted().min(views.len());
    let Some(behind) = enough.checked_sub(1) else {
        return Err(first_error.unwrap_or_else(|| CallError::malformed("no endpoint was asked")));
    };
    views.sort_by_key(|view| std::cmp::Reverse(view.finalized.height));
    let mut best: Option<(usize, &TipSet)> = None;
    // Where those behind do not agree, the newer ones may at least agree more, which is worth telling.
    let (newer, rest) = views.split_at(behind);
    for view in rest.iter().chain(newer.iter().rev()) {
        let agreed = agreeing(pool, &views, &view.finalized).await;
        if best.is_none_or(|(most, _)| agreed > most) {
            best = Some((agreed, &view.finalized));
        }
        if agreed >= enough {
            break;
        }
    }
    let Some((agreed, tipset)) = best else { return Err(CallError::malformed("no finalized tipset")) };
    let mut heads: Vec<i64> = views.iter().map(|view| view.head).collect();
    heads.sort_unstable_by(|a, b| b.cmp(a));
    let head = heads.get(behind).copied().unwrap_or(tipset.height);
    let eth_block = parent_height(pool, tipset).await?;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(Pin {
        round: Round {
            tipset: tipset.key(),
            height: Epoch(tipset.height),
            eth_block: Epoch(eth_block),
            head: Epoch(head),
            agreed: count(agreed),
            asked: count(pool.len()),
        },
        wanted: count(pool.wanted()),
    })
}

async fn view(
    pool: &Pool,
    at: usize,
    head: Result<Value, CallError>,
    finalized: Result<Value, CallError>,
) -> Result<View, CallError> {
    let read = |value| serde_json::from_value::<TipSet>(value).map_err(CallError::malformed);
    let head = read(head?)?;
    let finalized = match finalized {
        Ok(value) => read(value)?,
        Err(CallError::Unknown(Unknown::NotOffered(_))) => {
            let height = head.height.saturating_sub(FINALITY).max(0);
            by_height(pool, at, height, &head).await?
        }
        Err(error) => return Err(error),
    };
    Ok(View { at, head: head.height, finalized })
}

/// The tipset at `height`, or the next earlier one, on the chain of `anchor` as endpoint `at` has it.
async fn by_height(pool: &Pool, at: usize, height: i64, anchor: &TipSet) -> Result<TipSet, CallError> {
    let params = vec![json!(height), key_value(&anchor.cids)];
    let value = pool.ask_at(at, &Call::new("Filecoin.ChainGetTipSetByHeight", params)).await?;
    serde_json::from_value(value).map_err(CallError::malformed)
}

/// How many endpoints hold `tipset` to be final: it is on the chain below what they call finalized.
async fn agreeing(pool: &Pool, views: &[View], tipset: &TipSet) -> usize {
    let mut agreed = 0;
    for view in views.iter().filter(|view| view.finalized.height >= tipset.height) {
        let same = if view.finalized.height == tipset.height {
            view.finalized.cids == tipset.cids
        } else {
            by_height(pool, view.at, tipset.height, &view.finalized)
                .await
                .is_ok_and(|other| other.cids == tipset.cids && other.height == tipset.height)
        };
        agreed += usize::from(same);
    }
    agreed
}

/// The height of the block whose state after execution is the state that native reads at `tipset` see.
async fn parent_height(pool: &Pool, tipset: &TipSet) -> Result<i64, CallError> {
    if tipset.height == 0 || tipset.parents().is_empty() {
        return Ok(0);
    }
    let parent: TipSet =
        pool.read(Call::new("Filecoin.ChainGetTipSet", vec![key_value(tipset.parents())])).await?;
    Ok(parent.height)
}
