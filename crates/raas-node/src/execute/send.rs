//! Send: the one writer of an account. Moves one transaction towards finality, whatever happened before.
//!
//! Nonce and bytes are stored before they leave; transactions of an account leave in the order of their nonces; an
//! uncertain broadcast is settled by looking for its hashes, and a nonce that is used at finality by looking up what
//! used it. A foreign transaction halts the account until the admin releases it.

use super::{after_epochs, again, next_epoch, quote};
use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::store::{self, Attempt, GasDay, Halt, StepOutcome, StoredTx, TxId};
use crate::world::World;
use raas_core::machine::lane::{self, NextNonce};
use raas_core::machine::sender::{self, Alarm, Effect, Event, Receipt, Sent, State};
use raas_core::observation::Round;
use raas_core::ports::{Broadcast, Fees, Inclusion, Lane, Now, SignedTx, Taker, Wallet};
use raas_core::retry::Class;
use raas_core::units::Epochs;

/// How often a halted account, or one that waits for cheaper gas, is looked at.
const HALTED_LOOK: Epochs = match Epochs::new(20) {
    Some(epochs) => epochs,
    None => Epochs::ZERO,
};

/// One transaction in one pass.
pub(super) struct Sending<'a, W: World> {
    pub(super) engine: &'a Engine<W>,
    pub(super) round: &'a Round,
    pub(super) now: Now,
    pub(super) tx: StoredTx,
    pub(super) attempts: u32,
}

/// One step forward for the transaction `id`.
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
    let halted = engine.store.halts().await?.remove(&tx.lane);
    let sending = Sending { engine, round, now, tx, attempts };
    match (&state, halted) {
        (State::Planned, Some(halt)) => Ok(sending.halted(&halt)),
        (State::Planned, None) => sending.begin().await,
        (_, halted) => sending.settle(state, halted).await,
    }
}

fn state_of(tx: &StoredTx) -> Result<State, Error> {
    serde_json::from_value(tx.state.clone())
        .map_err(|error| Error::Unreadable { what: "transaction", why: error.to_string() })
}

fn step(state: &State, event: &Event) -> Result<(State, Vec<Effect>), Error> {
    sender::next(state, event)
        .map_err(|error| Error::Unreadable { what: "transaction", why: error.to_string() })
}

impl<W: World> Sending<'_, W> {
    fn halted(&self, halt: &Halt) -> StepOutcome {
        after_epochs(
            self.now,
            HALTED_LOOK,
            format!("the {} account is halted: {}", name(self.tx.lane), halt.why),
        )
    }

    /// A nonce for a transaction that has none, when it is its turn.
    async fn begin(&self) -> Result<StepOutcome, Error> {
        let (engine, lane) = (self.engine, self.tx.lane);
        let open = self.others().await?;
        if let Err(queued) = lane::may_sign(&open) {
            return Ok(next_epoch(self.now, queued.to_string()));
        }
        if self.is_merged().await? {
            return Ok(StepOutcome::Done);
        }
        let Ok(chain) = engine.world.wallet().nonces(lane).await else {
            return Ok(next_epoch(self.now, "the wallet's nonce could not be read"));
        };
        match lane::next_nonce(engine.store.floor(lane).await?, chain) {
            NextNonce::Take(nonce) => self.sign(&State::Planned, nonce, None).await,
            NextNonce::Settling { head, expected } => {
                let why = format!(
                    "an endpoint shows {head} as the account's next nonce, the store {expected}; waiting for finality"
                );
                Ok(next_epoch(self.now, why))
            }
            NextNonce::Foreign(foreign) => {
                let halt = self.halt(foreign.chain, &foreign.to_string()).await?;
                Ok(self.halted(&halt))
            }
        }
    }

    /// The states of the account's other open transactions.
    async fn others(&self) -> Result<Vec<State>, Error> {
        let open = self.engine.store.open_txs(Some(self.tx.lane)).await?;
        open.iter().filter(|tx| tx.id != self.tx.id).map(state_of).collect()
    }

    /// Signs, stores, and only then sends.
    async fn sign(&self, state: &State, nonce: u64, replacing: Option<Fees>) -> Result<StepOutcome, Error> {
        let key = self.tx.id.0.to_be_bytes();
        let (intent, quote) = match quote::quote(self, nonce, replacing).await? {
            Ok(quoted) => quoted,
            Err(outcome) => return Ok(outcome),
        };
        let wallet = self.engine.world.wallet();
        let signed = match failpoint::around("send.prepare", wallet.sign(&intent, nonce, quote)).await {
            Ok(signed) => signed,
            Err(why) => {
                self.record("sign", "failed", &why).await?;
                return Ok(again(self.now, Class::Provider, self.attempts, &key, why));
            }
        };
        let event = Event::Stored { nonce, tx: signed.clone(), at: self.round.head };
        let (after, _) = step(state, &event)?;
        let gas = GasDay { at: self.round.head, limit: self.engine.settings.spending.gas_per_day };
        let stored = failpoint::around(
            "send.store",
            self.engine.store.store_signed_tx(
                self.tx.id,
                self.tx.version,
                nonce,
                &signed,
                &json(&after)?,
                gas,
            ),
        )
        .await;
        match stored {
            Ok(Some(_)) => self.engine.note_dear(self.tx.id, None),
            Ok(None) => return Ok(next_epoch(self.now, "the transaction changed meanwhile")),
            Err(short @ store::Error::GasSpent { .. }) => {
                if replacing.is_none()
                    && let Some(parted) = self.part().await?
                {
                    return Ok(parted);
                }
                let why = short.to_string();
                self.engine.note_dear(self.tx.id, Some(&why));
                self.record("sign", "failed", &why).await?;
                return Ok(after_epochs(self.now, HALTED_LOOK, why));
            }
            Err(error) => return Err(error.into()),
        }
        self.broadcast(after, &signed).await
    }

    /// Hands stored bytes to an endpoint and records what it said.
    async fn broadcast(&self, state: State, signed: &SignedTx) -> Result<StepOutcome, Error> {
        let engine = self.engine;
        if let Some(sent) = state.sent()
            && let Err(queued) = lane::may_leave(sent.nonce, &self.others().await?)
        {
            return Ok(next_epoch(self.now, queued.to_string()));
        }
        engine.store.before_money_leaves().await?;
        let answer =
            failpoint::around("send.broadcast", engine.world.wallet().broadcast(self.tx.lane, signed)).await;
        let (event, why) = match answer {
            Broadcast::Taken => (Event::BroadcastOk, None),
            Broadcast::AlreadyKnown => (Event::AlreadyKnown, None),
            Broadcast::NonceTooLow => (Event::NonceTooLow, Some("the nonce is used".to_owned())),
            Broadcast::Refused(why) => (Event::Refused, Some(why)),
            Broadcast::Uncertain(why) => (Event::BroadcastUncertain, Some(why)),
        };
        if let Some(why) = &why {
            self.record("broadcast", "failed", why).await?;
        }
        let (after, _) = step(&state, &event)?;
        self.keep(&state, &after).await?;
        Ok(next_epoch(self.now, why.unwrap_or_else(|| "waiting for a tipset to include it".to_owned())))
    }

    /// Looks every version up and goes on from what is found.
    async fn settle(&self, state: State, halted: Option<Halt>) -> Result<StepOutcome, Error> {
        let Some(sent) = state.sent().cloned() else { return Ok(StepOutcome::Done) };
        for hash in sent.hashes() {
            match self.engine.world.wallet().included(self.tx.lane, &hash).await {
                Ok(Some(inclusion)) => return self.included(&state, &sent, hash, inclusion).await,
                Ok(None) => {}
                Err(_) => return Ok(next_epoch(self.now, "the transaction could not be looked up")),
            }
        }
        self.missing(state, &sent, halted).await
    }

    /// A version is in a tipset.
    async fn included(
        &self,
        state: &State,
        sent: &Sent,
        hash: String,
        inclusion: Inclusion,
    ) -> Result<StepOutcome, Error> {
        let block = inclusion.block;
        // One that only took the nonce did nothing of what was meant.
        let success = inclusion.success && !sent.version(&hash).is_some_and(|version| version.cancels);
        let (included, _) = step(state, &Event::ReceiptSeen(Receipt { hash, block, success }))?;
        // The receipt of a message in T is computed in its child, so T itself counts once T + 1 is finalized.
        let (after, _) = step(&included, &Event::FinalizedAt { block: self.round.eth_block })?;
        self.keep(state, &after).await?;
        if !after.is_closed() {
            // The finalized block trails the head at a distance: earlier looks would find nothing new.
            let left = block.since(self.round.eth_block);
            return Ok(after_epochs(self.now, left, "included; waiting for finality"));
        }
        let (outcome, detail) = match &after {
            State::Final { receipt, .. } => {
                ("done", format!("mined at {} as {}", receipt.block, receipt.hash))
            }
            State::Failed { receipt, .. } => ("failed", format!("without success at {}", receipt.block)),
            _ => ("failed", "its nonce was taken".to_owned()),
        };
        self.engine.note_dear(self.tx.id, None);
        self.record("transaction", outcome, &detail).await?;
        Ok(StepOutcome::Done)
    }

    /// No version can be found in an executed tipset.
    async fn missing(&self, state: State, sent: &Sent, halted: Option<Halt>) -> Result<StepOutcome, Error> {
        let Ok(nonces) = self.engine.world.wallet().nonces(self.tx.lane).await else {
            return Ok(next_epoch(self.now, "the wallet's nonce could not be read"));
        };
        if nonces.head > sent.nonce && nonces.finalized <= sent.nonce {
            // Most likely ours, and the look-up lags: judged only when no reorganisation can matter any more.
            return Ok(next_epoch(self.now, "its nonce is used; waiting for its receipt or finality"));
        }
        let event = Event::Missing { finalized_nonce: nonces.finalized, at: self.round.head };
        let (after, effects) = step(&state, &event)?;
        self.keep(&state, &after).await?;
        match (effects.into_iter().next(), halted) {
            (Some(Effect::FindTaker { nonce, since }), _) => {
                match self.engine.world.wallet().taker(self.tx.lane, nonce, since).await {
                    Ok(Taker::Tx { hash, inclusion }) if sent.version(&hash).is_some() => {
                        self.included(&after, sent, hash, inclusion).await
                    }
                    Ok(Taker::Tx { hash, .. }) => self.overtaken(&after, nonces.finalized, hash).await,
                    Ok(Taker::Nobody) => Ok(next_epoch(self.now, "waiting for its receipt")),
                    Err(_) => {
                        let why = "its nonce is used at finality, and no endpoint can show by what: name one that \
                                   keeps older states in chain.endpoints";
                        tracing::warn!(tx = self.tx.id.0, nonce, "{why}");
                        Ok(after_epochs(self.now, HALTED_LOOK, why))
                    }
                }
            }
            (_, Some(halt)) => Ok(self.halted(&halt)),
            (Some(Effect::Broadcast(signed)), None) => {
                let (_, effects) = step(&after, &Event::WaitedTo { at: self.round.head })?;
                match (effects.into_iter().next(), &after) {
                    // Only the first is made dearer: those behind wait for it, not for their fees.
                    (Some(Effect::Replace { nonce, .. }), State::Broadcast(sent)) if nonces.head >= nonce => {
                        self.replace(&after, nonce, sent.newest()).await
                    }
                    _ => self.broadcast(after, &signed).await,
                }
            }
            _ => Ok(next_epoch(self.now, "waiting for a tipset to include it")),
        }
    }

    /// The same nonce, dearer.
    async fn replace(&self, state: &State, nonce: u64, old: &SignedTx) -> Result<StepOutcome, Error> {
        // `keep` may have written since the transaction was read.
        let Some(tx) = self.engine.store.tx(self.tx.id).await? else { return Ok(StepOutcome::Done) };
        let (engine, round, now, attempts) = (self.engine, self.round, self.now, self.attempts);
        Sending { engine, round, now, tx, attempts }.sign(state, nonce, Some(old.fees)).await
    }

    /// Somebody else has the nonce, and so the key.
    async fn overtaken(&self, state: &State, chain: u64, hash: String) -> Result<StepOutcome, Error> {
        let (after, effects) = step(state, &Event::NonceTaken { hash })?;
        for effect in effects {
            if let Effect::Alarm(Alarm::ForeignNonce { nonce, hash }) = effect {
                let why = format!("nonce {nonce} was used by {hash}, which this node did not send");
                self.halt(chain, &why).await?;
                self.record("transaction", "failed", &why).await?;
            }
        }
        self.keep(state, &after).await?;
        Ok(StepOutcome::Done)
    }

    async fn halt(&self, chain: u64, why: &str) -> Result<Halt, Error> {
        let lane = self.tx.lane;
        let why = format!("{why}. When you know by whom, `raas wallet release {}` lets it go on", name(lane));
        let halt = Halt { why, chain, at: self.now.epoch, at_unix: self.now.unix_seconds };
        if self.engine.store.halt_lane(lane, &halt).await? {
            tracing::error!(lane = name(lane), why = halt.why, "an account is halted");
        }
        Ok(halt)
    }

    /// Stores a new state; the same state is not written again.
    async fn keep(&self, before: &State, after: &State) -> Result<(), Error> {
        if before == after {
            return Ok(());
        }
        let Some(current) = self.engine.store.tx(self.tx.id).await? else { return Ok(()) };
        let state = json(after)?;
        let write = self.engine.store.set_tx(self.tx.id, current.version, &state, !after.is_closed());
        failpoint::around("send.settle", write).await?;
        Ok(())
    }

    pub(super) async fn record(&self, what: &str, outcome: &str, detail: &str) -> Result<(), Error> {
        self.engine
            .store
            .add_attempt(&Attempt {
                holding: None,
                order: None,
                provider: None,
                what: format!("{what} {}", self.tx.id.0),
                outcome: outcome.to_owned(),
                detail: detail.to_owned(),
                at: self.now.epoch,
                at_unix: self.now.unix_seconds,
            })
            .await?;
        Ok(())
    }
}

pub(super) fn json(state: &State) -> Result<serde_json::Value, Error> {
    serde_json::to_value(state)
        .map_err(|error| Error::Unreadable { what: "transaction", why: error.to_string() })
}

const fn name(lane: Lane) -> &'static str {
    match lane {
        Lane::Native => "native",
        Lane::Evm => "evm",
    }
}
