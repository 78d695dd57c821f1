//! How far one endpoint is: its head, and what it calls finalized.
//!
//! There are two words for finality. The native one is the last F3 certificate, else 900 epochs behind the head; the
//! `finalized` tag of `eth_*` knows the calculator of expected consensus too, so that it is often much nearer. The
//! further one counts, measured at each endpoint.

use super::wire::{TipSet, key_of_text, key_value};
use crate::rpc::{Call, CallError, Place, Pool, Reply, Sight, Unknown};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Where an endpoint that has no notion of finality is taken to be final.
const FINALITY: i64 = 900;
/// Tags that are only measured are asked for again after this many epochs.
const TAGS_EVERY: i64 = 10;

/// What endpoint `at` shows. Nothing more is asked while its head is the one it showed before.
pub(super) async fn look(pool: &Pool, at: usize, needed: bool) -> Result<Arc<Sight>, CallError> {
    let head = Call::new("Filecoin.ChainHead", vec![]);
    let head = tipset(first(pool.ask_many_at(at, &[&head], needed).await))?;
    let before = pool.sight(at);
    if let Some(sight) = before.as_ref().filter(|sight| sight.head.key == head.key()) {
        return Ok(Arc::clone(sight));
    }
    let sight = Arc::new(measure(pool, at, &head, before.as_deref()).await?);
    pool.note_sight(at, Arc::clone(&sight));
    Ok(sight)
}

async fn measure(pool: &Pool, at: usize, head: &TipSet, before: Option<&Sight>) -> Result<Sight, CallError> {
    let mut calls = vec![Call::new("Filecoin.ChainGetFinalizedTipSet", vec![]), tag("finalized")];
    let known = before.filter(|sight| (0..TAGS_EVERY).contains(&(head.height - sight.tags_at)));
    if known.is_none() {
        calls.extend([tag("safe"), tag("latest")]);
    }
    let mut answers = pool.ask_many_at(at, &calls.iter().collect::<Vec<_>>(), false).await.into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Err(CallError::malformed("no answer")));
    let native = match next() {
        Err(CallError::Unknown(Unknown::NotOffered(_))) => {
            by_height(pool, at, head.height.saturating_sub(FINALITY).max(0), &key_value(&head.cids)).await?
        }
        answer => tipset(answer)?,
    };
    let finalized = match number(next()) {
        Some(height) if height > native.height && height <= head.height => {
            by_height(pool, at, height, &key_value(&head.cids)).await?
        }
        _ => native,
    };
    let (safe, latest, tags_at) = match known {
        Some(sight) => (sight.safe, sight.latest, sight.tags_at),
        None => (number(next()), number(next()), head.height),
    };
    Ok(Sight { head: Place::of(head), finalized: Place::of(&finalized), latest, safe, tags_at })
}

fn tag(tag: &str) -> Call {
    Call::new("eth_getBlockByNumber", vec![json!(tag), json!(false)])
}

/// The height of a block; an endpoint without the tag, or without `eth_*`, has only the native word.
fn number(answer: Result<Reply, CallError>) -> Option<i64> {
    #[derive(Deserialize)]
    struct Block {
        number: String,
    }
    let block: Block = answer.ok()?.read().ok()?;
    i64::try_from(crate::evm::quantity(&block.number).ok()?).ok()
}

fn first(answers: Vec<Result<Reply, CallError>>) -> Result<Reply, CallError> {
    answers.into_iter().next().unwrap_or_else(|| Err(CallError::malformed("no answer")))
}

fn tipset(answer: Result<Reply, CallError>) -> Result<TipSet, CallError> {
    answer?.read()
}

impl Place {
    /// The place of `tipset`.
    pub(super) fn of(tipset: &TipSet) -> Self {
        let parents: Vec<&str> = tipset.parents().iter().map(|link| link.cid.as_str()).collect();
        Self { key: tipset.key(), height: tipset.height, parents: parents.join(",") }
    }
}

/// The tipset at `height`, or the next earlier one, on the chain of `anchor` as endpoint `at` has it.
async fn by_height(pool: &Pool, at: usize, height: i64, anchor: &Value) -> Result<TipSet, CallError> {
    let params = vec![json!(height), anchor.clone()];
    tipset(pool.ask_at(at, &Call::new("Filecoin.ChainGetTipSetByHeight", params)).await)
}

/// Whether the chain that ends in `anchor` holds `place`, as endpoint `at` has it.
pub(super) async fn holds(
    pool: &Pool,
    at: usize,
    anchor: &str,
    place: (&str, i64),
) -> Result<bool, CallError> {
    let (key, height) = place;
    let found = by_height(pool, at, height, &key_of_text(anchor)).await?;
    Ok(found.height == height && found.key() == key)
}
