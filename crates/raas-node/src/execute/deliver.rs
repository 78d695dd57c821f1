//! Deliver: brings one order to its provider. Bytes at hand, escrow there, signed and stored, handed over.
//!
//! The signature is the money, so its bytes are stored before they leave and are the same in every repetition.
//! What the provider answers moves the order; whether there is a deal is for the chain to say.

use super::escrow::{Escrow, Purse};
use super::{again, bytes, next_epoch};
use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::store::{self, Attempt, StepOutcome, StoredOrder, StoredProposal};
use crate::world::World;
use raas_core::cid::DataCid;
use raas_core::health::Term;
use raas_core::ids::OrderId;
use raas_core::machine::order::{self, Event};
use raas_core::observation::Round;
use raas_core::order::{Order, OrderState, Signed};
use raas_core::ports::{Chain, DealMaker, DealTerms, Effect, Now, Proposed, Wallet};
use raas_core::retry::{self, Class};
use raas_core::units::{AttoFil, Epoch, Epochs};
use sha2::{Digest, Sha256};

/// A proposal that never left the node after so many tries is given up like a rejected one.
const UNREACHED_MAX: u32 = 5;
/// A provider needs this long before the start epoch; closer to it nothing is handed over any more.
const HANDOVER_MARGIN: Epochs = Epochs::days(1);
/// So many deals of one piece with one provider can be signed at one head.
const ALIKE_MAX: i64 = 64;

/// One step forward for `order`.
pub async fn deliver<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    purse: &Purse,
    id: OrderId,
    attempts: u32,
) -> Result<StepOutcome, Error> {
    let Some(stored) = engine.store.order(id).await? else { return Ok(StepOutcome::Done) };
    match &stored.order.state {
        OrderState::Planned => match prepare(engine, round, now, purse, &stored, attempts).await? {
            Ok(signed) => hand_over(engine, round, now, signed, attempts).await,
            Err(outcome) => Ok(outcome),
        },
        OrderState::Signed(_) | OrderState::Delivered(_) => {
            hand_over(engine, round, now, stored, attempts).await
        }
        _ => Ok(StepOutcome::Done),
    }
}

/// Everything up to the stored signature; `Err` holds when to come back.
async fn prepare<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    purse: &Purse,
    stored: &StoredOrder,
    attempts: u32,
) -> Result<Result<StoredOrder, StepOutcome>, Error> {
    let order = &stored.order;
    let (deal_piece, deal_size) = order.deal_piece();
    let key = order.id.0.to_be_bytes();
    if let Some(why) = bytes::ensure_local(engine, round, now, stored).await? {
        return Ok(Err(again(now, Class::Provider, attempts, &key, why)));
    }
    match failpoint::around("deliver.escrow", purse.cover(engine, order.cost())).await? {
        Escrow::Covered => {}
        Escrow::ToppingUp(_) => return Ok(Err(next_epoch(now, "an escrow top-up is on its way"))),
        Escrow::Unknown => return Ok(Err(next_epoch(now, "the market balance could not be read"))),
        Escrow::Short { needed, wallet } => {
            let why = format!("escrow needs {needed} attoFIL more, the wallet can give {wallet}");
            return Ok(Err(next_epoch(now, why)));
        }
    }
    let (Ok(bounds), Ok(next_deal)) =
        (engine.world.chain().collateral(deal_size).await, engine.world.chain().next_deal(round).await)
    else {
        return Ok(Err(next_epoch(now, "collateral bounds could not be read")));
    };
    let Some(piece) = engine.store.piece(order.piece).await? else {
        return Ok(Err(StepOutcome::Parked { why: "the piece is not recorded".to_owned() }));
    };
    let Some(term) = term(engine, round, stored).await? else {
        return Ok(Err(StepOutcome::Parked { why: "the order's holding is gone".to_owned() }));
    };
    let attempt = 1;
    let identity = identity(engine, order.id, attempt);
    let secret = hex::encode(identity.1);
    let mut terms = DealTerms {
        uuid: identity.0,
        piece: deal_piece,
        size: deal_size,
        // An aggregate is pulled to its end, where its index is.
        bytes: if order.within.is_some() { deal_size.payload_bytes() } else { piece.piece.car_bytes },
        root: label(engine, order, piece.piece.root).await?,
        provider: order.provider,
        start: term.start,
        end: term.end,
        price_per_epoch: order.price_per_epoch,
        // A fifth above the least, as others propose, since the bound moves with the network's power.
        provider_collateral: AttoFil(bounds.min.0.saturating_mul(6).div_ceil(5)).min(bounds.max),
        url: format!("{}/piece/{}", engine.settings.public_url.trim_end_matches('/'), deal_piece),
        headers: vec![("Authorization".to_owned(), format!("Bearer {secret}"))],
    };
    // The market takes one proposal once. Two holdings of one piece may want the same deal of the same provider at the
    // same head: the second one starts and ends an epoch later.
    for _ in 0..ALIKE_MAX {
        let signing = engine.world.wallet().sign_deal(&terms);
        let deal = match failpoint::around("deliver.sign", signing).await {
            Ok(deal) => deal,
            Err(why) => return Ok(Err(StepOutcome::Parked { why })),
        };
        let term = Term { start: terms.start, end: terms.end };
        let proposal = StoredProposal {
            signed: Signed { attempt, proposal_cid: deal.proposal_cid, term },
            uuid: terms.uuid,
            bytes: deal.bytes,
            secret: secret.clone(),
            next_deal,
        };
        let storing = engine.store.sign_order(order.id, stored.version, &proposal);
        match failpoint::around("deliver.store", storing).await {
            Err(store::Error::ProposalReused(_)) => {
                terms.start.0 += 1;
                terms.end.0 += 1;
            }
            stored => {
                stored?;
                return Ok(match engine.store.order(order.id).await? {
                    Some(signed) if signed.order.state.signed().is_some() => Ok(signed),
                    _ => Err(StepOutcome::Done),
                });
            }
        }
    }
    let why = format!("{ALIKE_MAX} deals like it were signed at this epoch");
    Ok(Err(next_epoch(now, why)))
}

/// What the deal is called: the payload's CID, or the aggregate where others lie in it, too.
async fn label<W: World>(engine: &Engine<W>, order: &Order, root: DataCid) -> Result<DataCid, Error> {
    let Some(within) = order.within else { return Ok(root) };
    if engine.store.inclusion(within.aggregate, order.piece).await?.is_none() {
        return Ok(root);
    }
    let named = DataCid::normalise(&within.aggregate.piece_cid_v1());
    named.map_err(|error| Error::Unreadable { what: "aggregate", why: error.to_string() })
}

/// Start and end epochs, counted from the head at signing by the shortest delay that a holding of the order has now.
async fn term<W: World>(
    engine: &Engine<W>,
    round: &Round,
    stored: &StoredOrder,
) -> Result<Option<Term>, Error> {
    let Some(holding) = engine.store.holding(stored.holding).await? else { return Ok(None) };
    let delay = engine.store.start_delay(stored.order.id).await?.unwrap_or(holding.policy.start_delay);
    let start = round.head.after(delay);
    Ok(Some(Term { start, end: start.after(stored.order.duration) }))
}

/// UUID and secret of a deal: determined by store, order and attempt, so that a repetition is the same deal.
fn identity<W: World>(engine: &Engine<W>, order: OrderId, attempt: u32) -> ([u8; 16], [u8; 32]) {
    let digest = |purpose: &[u8]| -> [u8; 32] {
        Sha256::new()
            .chain_update(purpose)
            .chain_update(engine.store.store_id())
            .chain_update(order.0.to_be_bytes())
            .chain_update(attempt.to_be_bytes())
            .finalize()
            .into()
    };
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&digest(b"raas deal uuid")[..16]);
    (uuid, digest(b"raas deal secret"))
}

/// Hands the stored bytes over, again and again the same, until the provider has answered.
async fn hand_over<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    stored: StoredOrder,
    attempts: u32,
) -> Result<StepOutcome, Error> {
    let (Some(proposal), Some(signed)) = (&stored.proposal, stored.order.state.signed()) else {
        return Ok(StepOutcome::Done);
    };
    if signed.term.start.before(HANDOVER_MARGIN) < round.head {
        // Too late for this provider; the order stays open until its start has passed at finality.
        return settle(
            engine,
            round,
            now,
            &stored,
            &Event::RejectedByProvider,
            "rejected",
            "not reached in time",
        )
        .await;
    }
    let provider = match engine.world.chain().provider(round, stored.order.provider).await {
        Ok(provider) => provider,
        Err(_) => return Ok(next_epoch(now, "the provider's addresses could not be read")),
    };
    engine.store.before_money_leaves().await?;
    let answer =
        failpoint::around("deliver.propose", engine.world.deal_maker().propose(&provider, &proposal.bytes))
            .await;
    let key = stored.order.id.0.to_be_bytes();
    match answer {
        Effect::Done(Proposed::Accepted) => {
            settle(engine, round, now, &stored, &Event::AcceptedByProvider, "done", "accepted").await
        }
        Effect::Done(Proposed::Rejected(why)) => {
            settle(engine, round, now, &stored, &Event::RejectedByProvider, "rejected", &why).await
        }
        Effect::Failed(why) if attempts + 1 >= UNREACHED_MAX => {
            let why = format!("not reached in {UNREACHED_MAX} tries: {why}");
            settle(engine, round, now, &stored, &Event::RejectedByProvider, "failed", &why).await
        }
        Effect::Failed(why) => {
            engine.store.add_attempt(&attempt(&stored, now, "failed", &why)).await?;
            Ok(again(now, Class::Transient, attempts, &key, why))
        }
        Effect::Uncertain(why) => {
            if matches!(stored.order.state, OrderState::Signed(_)) {
                settle(engine, round, now, &stored, &Event::DeliverySent, "uncertain", &why).await?;
            } else {
                engine.store.add_attempt(&attempt(&stored, now, "uncertain", &why)).await?;
            }
            Ok(again(now, Class::Transient, attempts, &key, why))
        }
    }
}

/// Stores what the provider said.
async fn settle<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    stored: &StoredOrder,
    event: &Event,
    outcome: &str,
    detail: &str,
) -> Result<StepOutcome, Error> {
    let (state, _effects) = order::next(&stored.order.state, event)
        .map_err(|source| Error::Order { order: stored.order.id, source })?;
    let attempt = attempt(stored, now, outcome, detail);
    failpoint::around(
        "deliver.settle",
        engine.store.set_order(stored.order.id, stored.version, &state, Some(&attempt)),
    )
    .await?;
    if matches!(event, Event::RejectedByProvider) {
        let failures = engine
            .store
            .providers()
            .await?
            .iter()
            .find(|known| known.on_chain.provider == stored.order.provider)
            .map_or(0, |known| known.failures);
        let delay = retry::delay(Class::Provider, failures, &stored.order.provider.number().to_be_bytes());
        let epochs = i64::try_from(delay.as_secs() / 30).unwrap_or(i64::MAX).max(1);
        let until = Epoch(round.head.0.saturating_add(epochs));
        engine.store.provider_failed(stored.order.provider, detail, until).await?;
    }
    Ok(StepOutcome::Done)
}

fn attempt(stored: &StoredOrder, now: Now, outcome: &str, detail: &str) -> Attempt {
    Attempt {
        holding: Some(stored.holding),
        order: Some(stored.order.id),
        provider: Some(stored.order.provider),
        what: "propose".to_owned(),
        outcome: outcome.to_owned(),
        detail: detail.to_owned(),
        at: now.epoch,
        at_unix: now.unix_seconds,
    }
}
