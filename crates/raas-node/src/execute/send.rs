//! Send: the one writer of a wallet. Moves one transaction towards finality, whatever happened before.
//!
//! Nonce and bytes are stored before they leave, one transaction of a lane is signed at a time and in order,
//! and an uncertain broadcast is settled by looking for its hashes.

use super::{after_epochs, again, next_epoch};
use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::store::{Attempt, StepOutcome, StoredTx, TxId};
use crate::world::World;
use raas_core::machine::sender::{self, Effect, Event, Receipt, State};
use raas_core::observation::Round;
use raas_core::ports::{self, Broadcast, Fees, Now, SignedTx, Wallet};
use raas_core::retry::Class;
use raas_core::units::Epochs;

/// A used nonce without a receipt of ours is called foreign only after this many looks, one an epoch: the hard
/// finality of the chain.
const NONCE_USED_SETTLES_AFTER: u32 = 900;

/// One step forward for `tx`.
pub async fn send<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    id: TxId,
    attempts: u32,
) -> Result<StepOutcome, Error> {
    let _one_at_a_time = engine.sending.lock().await;
    let Some(tx) = engine.store.tx(id).await? else { return Ok(StepOutcome::Done) };
    let state = state_of(&tx)?;
    if state.is_closed() || !tx.open {
        return Ok(StepOutcome::Done);
    }
    if matches!(state, State::Planned) {
        return sign(engine, now, &tx, None, attempts).await;
    }
    settle(engine, round, now, &tx, state, attempts).await
}

fn state_of(tx: &StoredTx) -> Result<State, Error> {
    serde_json::from_value(tx.state.clone())
        .map_err(|error| Error::Unreadable { what: "transaction", why: error.to_string() })
}

fn json(state: &State) -> Result<serde_json::Value, Error> {
    serde_json::to_value(state)
        .map_err(|error| Error::Unreadable { what: "transaction", why: error.to_string() })
}

fn step(state: &State, event: &Event) -> Result<(State, Vec<Effect>), Error> {
    sender::next(state, event)
        .map_err(|error| Error::Unreadable { what: "transaction", why: error.to_string() })
}

/// Reserves the nonce, signs, stores, and only then sends.
async fn sign<W: World>(
    engine: &Engine<W>,
    now: Now,
    tx: &StoredTx,
    replacing: Option<(u64, Fees)>,
    attempts: u32,
) -> Result<StepOutcome, Error> {
    let key = tx.id.0.to_be_bytes();
    let nonce = match replacing {
        Some((nonce, _)) => nonce,
        None => match nonce_for(engine, now, tx).await? {
            Ok(nonce) => nonce,
            Err(outcome) => return Ok(outcome),
        },
    };
    let fees = replacing.map(|(_, fees)| fees);
    let prepared =
        failpoint::around("send.prepare", engine.world.wallet().prepare(&tx.intent, nonce, fees)).await;
    let signed = match prepared {
        ports::Effect::Done(signed) => signed,
        ports::Effect::Failed(why) | ports::Effect::Uncertain(why) => {
            record(engine, now, tx, "prepare", "failed", &why).await?;
            return Ok(again(now, Class::Provider, attempts, &key, why));
        }
    };
    let state = state_of(tx)?;
    let (after, _) = step(&state, &Event::Stored { nonce, tx: signed.clone() })?;
    let stored = failpoint::around(
        "send.store",
        engine.store.store_signed_tx(tx.id, tx.version, nonce, &signed, &json(&after)?),
    )
    .await?;
    if stored.is_none() {
        return Ok(next_epoch(now, "the transaction changed meanwhile"));
    }
    let Some(tx) = engine.store.tx(tx.id).await? else { return Ok(StepOutcome::Done) };
    broadcast(engine, now, &tx, after, &signed).await
}

/// The nonce of a new transaction. Earlier ones of the lane must have left first: public endpoints take no gap.
async fn nonce_for<W: World>(
    engine: &Engine<W>,
    now: Now,
    tx: &StoredTx,
) -> Result<Result<u64, StepOutcome>, Error> {
    let Ok(chain) = engine.world.wallet().chain_nonce(tx.lane).await else {
        return Ok(Err(next_epoch(now, "the wallet's nonce could not be read")));
    };
    let highest = engine.store.highest_nonce(tx.lane).await?;
    match sender::next_nonce(highest, chain) {
        Ok(nonce) => Ok(Ok(nonce)),
        Err(foreign) => Ok(Err(StepOutcome::Parked { why: foreign.to_string() })),
    }
}

/// Hands stored bytes to an endpoint and records what it said.
async fn broadcast<W: World>(
    engine: &Engine<W>,
    now: Now,
    tx: &StoredTx,
    state: State,
    signed: &SignedTx,
) -> Result<StepOutcome, Error> {
    let answer = failpoint::around("send.broadcast", engine.world.wallet().broadcast(tx.lane, signed)).await;
    let (event, why) = match answer {
        Broadcast::Taken => (Event::BroadcastOk, None),
        Broadcast::AlreadyKnown => (Event::AlreadyKnown, None),
        Broadcast::NonceTooLow => (Event::NonceTooLow, Some("the nonce is used".to_owned())),
        Broadcast::Refused(why) => (Event::Refused, Some(why)),
        Broadcast::Uncertain(why) => (Event::BroadcastUncertain, Some(why)),
    };
    if let Some(why) = &why {
        record(engine, now, tx, "broadcast", "failed", why).await?;
    }
    let (after, _) = step(&state, &event)?;
    keep(engine, tx, &state, &after).await?;
    Ok(next_epoch(now, why.unwrap_or_else(|| "waiting for a tipset to include it".to_owned())))
}

/// Looks every version up and goes on from what is found.
async fn settle<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    tx: &StoredTx,
    state: State,
    attempts: u32,
) -> Result<StepOutcome, Error> {
    let Some(sent) = state.sent().cloned() else { return Ok(StepOutcome::Done) };
    let mut found = None;
    for hash in sent.hashes() {
        match engine.world.wallet().included(tx.lane, &hash).await {
            Ok(Some(inclusion)) => {
                found = Some(Receipt { hash, block: inclusion.block, success: inclusion.success });
                break;
            }
            Ok(None) => {}
            Err(_) => return Ok(next_epoch(now, "the transaction could not be looked up")),
        }
    }
    let Some(receipt) = found else { return missing(engine, now, tx, state, attempts).await };
    let block = receipt.block;
    let (included, _) = step(&state, &Event::ReceiptSeen(receipt))?;
    // The receipt of a message in T is computed in its child, so T itself counts once T + 1 is finalized.
    let (after, _) = step(&included, &Event::FinalizedAt { block: round.eth_block })?;
    keep(engine, tx, &state, &after).await?;
    if !after.is_closed() {
        // The finalized block trails the head at a distance: earlier looks would find nothing new.
        let left = block.since(round.eth_block);
        return Ok(after_epochs(now, left, "included; waiting for finality"));
    }
    let (outcome, detail) = match &after {
        State::Final { receipt, .. } => ("done", format!("mined at {} as {}", receipt.block, receipt.hash)),
        State::Failed { receipt, .. } => ("failed", format!("reverted at {}", receipt.block)),
        _ => ("failed", "its nonce was taken".to_owned()),
    };
    record(engine, now, tx, "transaction", outcome, &detail).await?;
    Ok(StepOutcome::Done)
}

/// No version is in an executed tipset.
async fn missing<W: World>(
    engine: &Engine<W>,
    now: Now,
    tx: &StoredTx,
    state: State,
    attempts: u32,
) -> Result<StepOutcome, Error> {
    let Ok(chain_nonce) = engine.world.wallet().chain_nonce(tx.lane).await else {
        return Ok(next_epoch(now, "the wallet's nonce could not be read"));
    };
    let waited = Epochs::new(i64::from(attempts)).unwrap_or(Epochs::ZERO);
    let used = chain_nonce > state.sent().map_or(u64::MAX, |sent| sent.nonce);
    if used && attempts < NONCE_USED_SETTLES_AFTER {
        // Most likely ours, and the look-up lags: judged only when no reorganisation can matter any more.
        return Ok(waiting(now, "its nonce is used; waiting for its receipt"));
    }
    if matches!(state, State::Broadcast(_)) && !used {
        let (_, effects) = step(&state, &Event::StuckFor { epochs: waited })?;
        return match effects.into_iter().next() {
            Some(Effect::Replace { nonce, fees }) => {
                sign(engine, now, tx, Some((nonce, fees)), attempts).await
            }
            _ => Ok(waiting(now, "waiting for a tipset to include it")),
        };
    }
    let (after, effects) = step(&state, &Event::Missing { finalized_nonce: chain_nonce })?;
    keep(engine, tx, &state, &after).await?;
    match effects.into_iter().next() {
        Some(Effect::Broadcast(signed)) => broadcast(engine, now, tx, after, &signed).await,
        Some(Effect::Alarm(alarm)) => {
            record(engine, now, tx, "transaction", "failed", &format!("{alarm:?}")).await?;
            Ok(StepOutcome::Done)
        }
        _ => Ok(waiting(now, "waiting for a tipset to include it")),
    }
}

/// Waiting in a mempool counts its epochs as attempts, so that a stuck transaction is replaced in time.
fn waiting(now: Now, why: &str) -> StepOutcome {
    match next_epoch(now, why) {
        StepOutcome::Again { at_unix, why, .. } => StepOutcome::Again { at_unix, why, failed: true },
        other => other,
    }
}

/// Stores a new state; the same state is not written again.
async fn keep<W: World>(
    engine: &Engine<W>,
    tx: &StoredTx,
    before: &State,
    after: &State,
) -> Result<(), Error> {
    if before == after {
        return Ok(());
    }
    let Some(current) = engine.store.tx(tx.id).await? else { return Ok(()) };
    let state = json(after)?;
    failpoint::around("send.settle", engine.store.set_tx(tx.id, current.version, &state, !after.is_closed()))
        .await?;
    Ok(())
}

async fn record<W: World>(
    engine: &Engine<W>,
    now: Now,
    tx: &StoredTx,
    what: &str,
    outcome: &str,
    detail: &str,
) -> Result<(), Error> {
    engine
        .store
        .add_attempt(&Attempt {
            holding: None,
            order: None,
            provider: None,
            what: format!("{what} {}", tx.id.0),
            outcome: outcome.to_owned(),
            detail: detail.to_owned(),
            at: now.epoch,
            at_unix: now.unix_seconds,
        })
        .await?;
    Ok(())
}
