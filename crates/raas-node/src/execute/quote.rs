//! What a transaction would cost, and whether that may be spent: the cap of one transaction.
//!
//! One that must be made dearer and cannot be estimated any more (its purpose is gone, the contract refuses) is
//! replaced by nothing at all, so that those behind its nonce can go.

use super::send::Sending;
use super::{after_epochs, again};
use crate::engine::Error;
use crate::failpoint;
use crate::store::StepOutcome;
use crate::world::World;
use raas_core::amount::fil;
use raas_core::machine::sender::State;
use raas_core::ports::{Fees, NoQuote, Quote, TxIntent, Wallet};
use raas_core::retry::Class;
use raas_core::units::Epochs;

/// How long dear gas is waited out between two looks: ten minutes.
const DEAR_LOOK: Epochs = match Epochs::new(20) {
    Some(epochs) => epochs,
    None => Epochs::ZERO,
};

/// What is to be signed and at which cost, or when to come back.
pub(super) async fn quote<W: World>(
    sending: &Sending<'_, W>,
    nonce: u64,
    replacing: Option<Fees>,
) -> Result<Result<(TxIntent, Quote), StepOutcome>, Error> {
    let wallet = sending.engine.world.wallet();
    let mut intent = sending.tx.intent.clone();
    let mut quoted = failpoint::around("send.quote", wallet.quote(&intent, nonce, replacing)).await;
    if let (Err(why), Some(_)) = (&quoted, replacing) {
        sending.record("replace", "failed", &why.to_string()).await?;
        intent = TxIntent::Cancel { lane: sending.tx.lane };
        quoted = wallet.quote(&intent, nonce, replacing).await;
    }
    let quote = match quoted {
        Ok(quote) => quote,
        Err(why) => {
            sending.record("quote", "failed", &why.to_string()).await?;
            if replacing.is_none()
                && let Some(outcome) = instead(sending, &why).await?
            {
                return Ok(Err(outcome));
            }
            let key = sending.tx.id.0.to_be_bytes();
            return Ok(Err(again(sending.now, Class::Provider, sending.attempts, &key, why.to_string())));
        }
    };
    let cost = quote.gas_max();
    match sending.engine.settings.spending.gas_max {
        Some(max) if cost > max => {
            // Alone, each may be cheap enough.
            if replacing.is_none()
                && let Some(parted) = sending.part().await?
            {
                return Ok(Err(parted));
            }
            let why = format!(
                "gas could cost {}, more than wallet.gas_max_attofil allows ({}); waiting for it to become cheaper",
                fil(cost),
                fil(max)
            );
            sending.engine.note_dear(sending.tx.id, Some(&why));
            Ok(Err(after_epochs(sending.now, DEAR_LOOK, why)))
        }
        _ => Ok(Ok((intent, quote))),
    }
}

/// What is done about a transaction that was never signed and cannot be quoted, other than trying it again later.
async fn instead<W: World>(sending: &Sending<'_, W>, why: &NoQuote) -> Result<Option<StepOutcome>, Error> {
    let (store, tx) = (&sending.engine.store, &sending.tx);
    match (&tx.intent, why) {
        // The list is pruned when it is read, and then there is room.
        (TxIntent::Complete { .. }, NoQuote::ListFull(_)) => {
            store.read_list_again(tx.id).await?;
            Ok(None)
        }
        (TxIntent::SubmitMany { .. }, why) if sending.gives_up(why) => sending.part().await,
        // One of the deals is off the list by now, or lives: the list is read again when it is found full.
        (TxIntent::Prune { .. }, NoQuote::Refused(_)) => {
            let state = super::send::json(&State::Planned)?;
            failpoint::around("send.settle", store.set_tx(tx.id, tx.version, &state, false)).await?;
            Ok(Some(StepOutcome::Done))
        }
        _ => Ok(None),
    }
}
