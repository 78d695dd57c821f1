//! Execute: claims due steps and brings each one forward. One file per kind of step.
//!
//! Every step is safe to run twice and to lose at any point: it reads where its subject stands, does the next
//! thing, stores the outcome, and only then gives the step back.

mod batch;
pub mod bytes;
pub mod deliver;
pub mod escrow;
mod quote;
pub mod send;

use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::store::{Step, StepKind, StepOutcome};
use crate::world::World;
use escrow::Purse;
use futures_util::TryStreamExt;
use raas_core::observation::Round;
use raas_core::ports::Now;
use raas_core::retry::{self, ALONE_FROM, Class};
use raas_core::units::Epochs;

/// Steps claimed in one pass.
const CLAIM_MAX: u32 = 256;

/// Runs every due step once; first those that killed their process, each by itself. True when any ran.
pub async fn work<W: World>(engine: &Engine<W>, round: &Round, now: Now) -> Result<bool, Error> {
    let mut any = false;
    loop {
        let steps = engine.store.claim_due(now.unix_seconds, CLAIM_MAX).await?;
        any |= !steps.is_empty();
        let alone = steps.first().is_some_and(|step| step.crashes >= ALONE_FROM);
        run_all(engine, round, now, steps).await?;
        if !alone {
            return Ok(any);
        }
    }
}

async fn run_all<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    steps: Vec<Step>,
) -> Result<(), Error> {
    let purse = &Purse::default();
    futures_util::stream::iter(steps.into_iter().map(Ok::<_, Error>))
        .try_for_each_concurrent(engine.settings.concurrency, |step| async move {
            let outcome = match run(engine, round, now, purse, &step).await {
                Ok(outcome) => outcome,
                // Without the store nothing can be given back; the next pass does.
                Err(Error::Store(error)) if error.is_of_the_whole() => return Err(error.into()),
                Err(error) => {
                    let why = crate::causes::chain(&error);
                    tracing::error!(step = ?step.kind, why, "a step failed");
                    again(now, Class::Terminal, step.attempts, &step.id.0.to_be_bytes(), why)
                }
            };
            failpoint::around("step.finish", engine.store.finish_step(step.id, &outcome)).await?;
            Ok(())
        })
        .await
}

async fn run<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    purse: &Purse,
    step: &Step,
) -> Result<StepOutcome, Error> {
    let aside = retry::quarantine(step.crashes, &step.id.0.to_be_bytes());
    if let Some(aside) = aside.filter(|_| step.died) {
        let seconds = i64::try_from(aside.as_secs()).unwrap_or(i64::MAX);
        let why = format!("the process died {} times in this step", step.crashes);
        tracing::error!(step = ?step.kind, why, seconds, "a step is set aside");
        return Ok(StepOutcome::SetAside { at_unix: now.unix_seconds.saturating_add(seconds), why });
    }
    match &step.kind {
        StepKind::Deliver { order } => {
            deliver::deliver(engine, round, now, purse, *order, step.attempts).await
        }
        StepKind::Send { tx } => send::send(engine, round, now, *tx, step.attempts).await,
        StepKind::Evict { holding, piece } => {
            bytes::evict(engine, round, now, *holding, *piece, step.attempts).await
        }
        StepKind::Probe { holding, piece } => {
            bytes::probe(engine, round, now, *holding, *piece, step.attempts).await
        }
        StepKind::Fetch { holding } => bytes::import(engine, now, *holding, step.attempts).await,
    }
}

/// Again after the back-off of `class`, counted as a failed attempt.
pub(crate) fn again(
    now: Now,
    class: Class,
    attempts: u32,
    key: &[u8],
    why: impl Into<String>,
) -> StepOutcome {
    let delay = retry::delay(class, attempts, key);
    let seconds = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX).max(1);
    StepOutcome::Again { at_unix: now.unix_seconds.saturating_add(seconds), why: why.into(), failed: true }
}

/// Again when the chain has moved: not a failure.
pub(crate) fn next_epoch(now: Now, why: impl Into<String>) -> StepOutcome {
    after_epochs(now, Epochs::new(1).unwrap_or(Epochs::ZERO), why)
}

/// Again when the chain has moved so far, at least by one epoch: not a failure.
pub(crate) fn after_epochs(now: Now, epochs: Epochs, why: impl Into<String>) -> StepOutcome {
    const BLOCK_DELAY_SECONDS: i64 = 30;
    let seconds = epochs.get().max(1).saturating_mul(BLOCK_DELAY_SECONDS);
    StepOutcome::Again { at_unix: now.unix_seconds.saturating_add(seconds), why: why.into(), failed: false }
}
