//! Pinning a round: the head, and a finalized tipset that enough endpoints name alike.
//!
//! Endpoints whose head cannot be right by the clock have no voice. Of the others, `wanted` must hold one tipset to be
//! final; it must be on the same chain as the one pinned before, and its state must be readable.

use super::sight::{holds, look};
use super::wire::{MARKET, TipSet, key_of_text, number_param, state_call};
use crate::rpc::{Call, CallError, Place, Pool, Sight, Unknown};
use futures_util::future::join_all;
use raas_core::gate::{self, Hold};
use raas_core::observation::Round;
use raas_core::ports::{Look, Pin};
use raas_core::units::Epoch;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// FRC-42 number of GetDealActivation, asked of a deal that nobody has: the cheapest call on a state.
const GET_DEAL_ACTIVATION: u64 = 2_567_238_399;

/// What one endpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct View {
    at: usize,
    sight: Arc<Sight>,
}

/// The last pin, and the views that led to it: the same views lead to the same pin.
#[derive(Debug, Default)]
pub(super) struct Pinned(Mutex<Option<(Vec<View>, Pin)>>);

impl Pinned {
    fn of(&self, views: &[View]) -> Option<Pin> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(known, _)| known == views).map(|(_, pin)| pin.clone())
    }

    fn keep(&self, views: Vec<View>, pin: &Pin) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((views, pin.clone()));
    }
}

/// Head and finalized tipset. Among `wanted` endpoints the one that is furthest behind sets both, so that all
/// of them can answer at this tipset; fewer than `wanted` that agree are told, not hidden.
pub(super) async fn pin(pool: &Pool, pinned: &Pinned, from: &Look) -> Result<Pin, Hold> {
    let views = plausible(pool, views(pool).await?, from.expected)?;
    if let Some(pin) = pinned.of(&views)
        && from.last.as_ref().is_none_or(|(key, _)| *key == pin.round.tipset)
    {
        return Ok(pin);
    }
    let (mut agreed, mut place, heads) = agree(pool, &views).await;
    if let Some(last) = &from.last {
        match stays(pool, &views, &place, last).await? {
            Some((still, kept)) => (agreed, place) = (still, kept),
            None => follows(pool, &views, &place, last).await?,
        }
    }
    let is_new = from.last.as_ref().is_none_or(|(key, _)| *key != place.key);
    if is_new {
        readable(pool, &place).await?;
    }
    let eth_block = parent_height(pool, &place).await.map_err(|error| failed(&error))?;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let pin = Pin {
        round: Round {
            tipset: place.key.clone(),
            height: Epoch(place.height),
            eth_block: Epoch(eth_block),
            head: Epoch(heads),
            agreed: count(agreed),
            asked: count(pool.len()),
        },
        wanted: count(pool.wanted()),
    };
    pinned.keep(views, &pin);
    Ok(pin)
}

/// What the endpoints show. Those that failed lately are asked when the others are too few.
async fn views(pool: &Pool) -> Result<Vec<View>, Hold> {
    let (good, bad): (Vec<usize>, Vec<usize>) = (0..pool.len()).partition(|at| pool.is_available(*at));
    let ask = |which: Vec<usize>, needed: bool| async move {
        join_all(which.into_iter().map(|at| async move { (at, look(pool, at, needed).await) })).await
    };
    let mut answers = ask(good, false).await;
    let enough = answers.iter().filter(|(_, answer)| answer.is_ok()).count() >= pool.wanted();
    answers.extend(ask(bad, !enough).await);
    answers.sort_by_key(|(at, _)| *at);
    let foreign = |error: &CallError| matches!(error, CallError::Unknown(Unknown::OtherNetwork(_)));
    let mut others = 0;
    let mut views = Vec::new();
    for (at, answer) in answers {
        match answer {
            Ok(sight) => views.push(View { at, sight }),
            Err(error) => others += usize::from(foreign(&error)),
        }
    }
    match (views.is_empty(), others) {
        (false, _) => Ok(views),
        (true, 0) => Err(Hold::NoEndpoint),
        (true, _) => Err(Hold::OtherNetwork),
    }
}

/// Those whose head can be right by the clock, and near the best of them; the others are asked last from now on.
fn plausible(pool: &Pool, views: Vec<View>, expected: Option<Epoch>) -> Result<Vec<View>, Hold> {
    let head = |view: &View| Epoch(view.sight.head.height);
    let Some(expected) = expected else {
        let best = views.iter().map(head).max().unwrap_or(Epoch(0));
        for view in &views {
            pool.note_off(view.at, gate::implausible(head(view), best).map(|_| (head(view), best)));
        }
        return Ok(views);
    };
    for view in &views {
        pool.note_off(view.at, gate::implausible(head(view), expected).map(|_| (head(view), expected)));
    }
    let (good, off): (Vec<View>, Vec<View>) =
        views.into_iter().partition(|view| gate::implausible(head(view), expected).is_none());
    if good.is_empty() {
        let heads: Vec<(Epoch, &str)> =
            off.iter().map(|view| (head(view), view.sight.head.key.as_str())).collect();
        return Err(gate::none_plausible(&heads, expected));
    }
    Ok(good)
}

/// The finalized tipset that the most endpoints hold, up to `wanted`, how many, and the head.
async fn agree(pool: &Pool, views: &[View]) -> (usize, Place, i64) {
    let enough = pool.wanted().min(views.len()).max(1);
    let mut sorted: Vec<&View> = views.iter().collect();
    sorted.sort_by_key(|view| std::cmp::Reverse(view.sight.finalized.height));
    let mut best: Option<(usize, &Place)> = None;
    // Where those behind do not agree, the newer ones may at least agree more, which is worth telling.
    let (newer, rest) = sorted.split_at(enough - 1);
    for view in rest.iter().chain(newer.iter().rev()) {
        let place = &view.sight.finalized;
        let agreed = agreeing(pool, views, place).await;
        if best.is_none_or(|(most, _)| agreed > most) {
            best = Some((agreed, place));
        }
        if agreed >= enough {
            break;
        }
    }
    let mut heads: Vec<i64> = views.iter().map(|view| view.sight.head.height).collect();
    heads.sort_unstable_by(|a, b| b.cmp(a));
    let (agreed, place) = best.map_or_else(
        || (0, Place { key: String::new(), height: 0, parents: String::new() }),
        |(agreed, place)| (agreed, place.clone()),
    );
    let head = heads.get(enough - 1).copied().unwrap_or(place.height);
    (agreed, place, head)
}

/// How many endpoints hold `place` to be final: it is on the chain below what they call finalized.
async fn agreeing(pool: &Pool, views: &[View], place: &Place) -> usize {
    let each = views.iter().map(|view| async move {
        let finalized = &view.sight.finalized;
        match finalized.height.cmp(&place.height) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => finalized.key == place.key,
            std::cmp::Ordering::Greater => {
                holds(pool, view.at, &finalized.key, (&place.key, place.height)).await.unwrap_or(false)
            }
        }
    });
    join_all(each).await.into_iter().filter(|same| *same).count()
}

/// What was pinned before, and how many endpoints still have it on their chain, where they call less final now: after a
/// fall of the head, or when the one that was further is away. What was final stays final.
async fn stays(
    pool: &Pool,
    views: &[View],
    place: &Place,
    last: &(String, Epoch),
) -> Result<Option<(usize, Place)>, Hold> {
    let (key, height) = last;
    if place.height >= height.0 {
        return Ok(None);
    }
    let further = views.iter().filter(|view| view.sight.head.height >= height.0);
    let each = further.map(|view| holds(pool, view.at, &view.sight.head.key, (key, height.0)));
    let still = join_all(each).await.into_iter().filter(|held| matches!(held, Ok(true))).count();
    if still == 0 {
        return Ok(None);
    }
    let tipset: TipSet = pool
        .read(Call::new("Filecoin.ChainGetTipSet", vec![key_of_text(key)]))
        .await
        .map_err(|error| failed(&error))?;
    Ok(Some((still, Place::of(&tipset))))
}

/// That `place` is on one chain with what was pinned before, and not before it.
async fn follows(pool: &Pool, views: &[View], place: &Place, last: &(String, Epoch)) -> Result<(), Hold> {
    let (key, height) = last;
    if *key == place.key {
        return Ok(());
    }
    let rewritten = Hold::Rewritten { height: *height };
    let behind = Hold::Behind { finalized: Epoch(place.height), seen: *height };
    if place.height == height.0 {
        return Err(rewritten);
    }
    for view in views {
        let known = if place.height > height.0 {
            holds(pool, view.at, &place.key, (key, height.0)).await
        } else {
            holds(pool, view.at, key, (&place.key, place.height)).await
        };
        return match (known, place.height > height.0) {
            (Ok(true), true) => Ok(()),
            (Ok(false), _) => Err(rewritten),
            (Ok(true), false) => Err(behind),
            // It does not have one of them: another may.
            (Err(_), _) => continue,
        };
    }
    // Nobody has both. What is older cannot have been rewritten by that alone; what is newer than all that the
    // endpoints keep below it cannot be compared, and a long rest must not end in a hold for ever.
    if place.height > height.0 { Ok(()) } else { Err(behind) }
}

/// That calls on the state at `place` are taken.
async fn readable(pool: &Pool, place: &Place) -> Result<(), Hold> {
    let key = key_of_text(&place.key);
    let call = state_call(MARKET, GET_DEAL_ACTIVATION, &number_param(u64::from(u32::MAX)), &key);
    match pool.read::<Value>(call).await {
        Err(CallError::Unknown(Unknown::Upgrade(_))) => Err(Hold::Upgrade { epoch: Epoch(place.height) }),
        // Whatever else is wrong shows at what is read for its own sake, as unknown.
        _ => Ok(()),
    }
}

/// The height of the block whose state after execution is the state that native reads at `place` see.
async fn parent_height(pool: &Pool, place: &Place) -> Result<i64, CallError> {
    if place.height == 0 || place.parents.is_empty() {
        return Ok(0);
    }
    let parent: TipSet =
        pool.read(Call::new("Filecoin.ChainGetTipSet", vec![key_of_text(&place.parents)])).await?;
    Ok(parent.height)
}

fn failed(error: &CallError) -> Hold {
    tracing::warn!(%error, "the parent of the finalized tipset could not be read");
    Hold::NoEndpoint
}
