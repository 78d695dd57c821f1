//! Rewind: the way out when history that was final is another one now (the hold `rewritten`).
//!
//! Nothing goes on by itself then: an endpoint may lie, or the network may have been rewound, and only a person can tell.
//! An admin has the new history read from where it leaves the old one; what differs is shown first, and the same reading
//! is then put in place of the old one, in one transaction of the store.

use crate::engine::{Engine, Error};
use crate::settings::ContractAt;
use crate::store::{ContractRewind, Rewind, Rewound, StoredOrder};
use crate::tasks::follow::{Prepared, WINDOW_BLOCKS, believe, cursor_of, prepare, stored};
use crate::world::World;
use raas_core::gate::{self, Hold};
use raas_core::ids::{DealId, OrderId, ProviderId, RequestId};
use raas_core::machine::cursor::State;
use raas_core::machine::rewind::{self, Copy, Rewritten};
use raas_core::observation::{DealSeen, NotSeen, OnChainDeal, Round, TermSeen};
use raas_core::order::{OrderState, ReplicaRef};
use raas_core::ports::{Chain, Clock, Contract, ContractWindow, Look, Now, Witness};
use raas_core::units::Epoch;
use serde::Serialize;
use std::collections::BTreeMap;

/// Deals read in one call of the port.
const DEALS_AT_ONCE: usize = 500;

/// Why history cannot be read again now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRewind {
    /// There is nothing to read again.
    #[error("what was seen final is still on the chain: there is nothing to read again")]
    NothingRewritten,
    /// No finalized tipset can be agreed on.
    #[error("the new history cannot be pinned: {0}")]
    Held(Hold),
    /// No remembered tipset is on the chain.
    #[error(
        "none of the finalized tipsets that the node remembers (from {oldest} on) is on the chain: name the first \
         height to read again as `from`"
    )]
    FromNeeded {
        /// The oldest one remembered.
        oldest: Epoch,
    },
    /// Some of the rewritten history would be left.
    #[error(
        "from: history is another one from {first} on, so it must be read again from there or from below"
    )]
    FromTooLate {
        /// Where the chain leaves what was seen.
        first: Epoch,
    },
    /// Something could not be read; nothing was changed.
    #[error(
        "{what} could not be read: {why}; name an endpoint that keeps it in chain.endpoints, or try again"
    )]
    Unread {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
}

/// What is read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reread {
    /// The tipset that was final and is gone.
    pub gone: Gone,
    /// The first height that is read again.
    pub from: Epoch,
    /// The new finalized tipset.
    pub round: Round,
    /// What differs.
    pub differs: Rewound,
}

/// A tipset that is not on the chain any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// Its key.
    pub tipset: String,
    /// Its height.
    pub height: Epoch,
}

/// The outcome of reading again.
pub type Outcome = Result<Result<Reread, NoRewind>, Error>;

/// Reads the new history from `from` on, or from where it leaves the old one. With `keep` it takes the old one's place.
/// Called while no pass runs.
pub async fn rewind<W: World>(engine: &Engine<W>, from: Option<Epoch>, keep: bool) -> Outcome {
    let now = engine.world.clock().now().await;
    let Some((last, _)) = engine.store.last_round().await? else {
        return Ok(Err(NoRewind::NothingRewritten));
    };
    let round = match pin(engine, &last, now).await {
        Ok(round) => round,
        Err(why) => return Ok(Err(why)),
    };
    let base = match base(engine, &round).await? {
        Ok(base) => base,
        Err(why) => return Ok(Err(why)),
    };
    let from = match (from, &base) {
        (None, Base::At { height, .. }) => Epoch(height.0 + 1),
        (None, Base::Older { oldest }) => return Ok(Err(NoRewind::FromNeeded { oldest: *oldest })),
        (Some(from), Base::At { height, .. }) if from.0 > height.0 + 1 => {
            return Ok(Err(NoRewind::FromTooLate { first: Epoch(height.0 + 1) }));
        }
        (Some(from), _) => from,
    };
    let mut contracts = Vec::new();
    for at in &engine.settings.contracts {
        match contract(engine, at, &round, from, now).await? {
            Ok(read) => contracts.extend(read.map(|read| (at, read))),
            Err(why) => return Ok(Err(why)),
        }
    }
    let deals_from = match first_deal(engine, &base, from).await {
        Ok(deal) => deal,
        Err(why) => return Ok(Err(why)),
    };
    let orders = match orders(engine, &round, from, deals_from).await? {
        Ok(orders) => orders,
        Err(why) => return Ok(Err(why)),
    };
    let gone = (last.tipset.clone(), last.height);
    let mut read = Vec::with_capacity(contracts.len());
    for (at, contract) in &contracts {
        let window =
            crate::store::Window { to: round.eth_block, ..contract.prepared.window(&contract.window) };
        read.push(ContractRewind { contract: at.address, cursor: stored(contract.after)?, window });
    }
    let rewind =
        Rewind { from, gone, round: &round, now, contracts: read, orders, deals_from: Some(deals_from) };
    let differs = engine.store.rewind(&rewind, keep).await?;
    if keep {
        if let Some(restored) = engine.store.restored().await?.filter(|restored| restored.read_to >= from) {
            let read_to = Epoch(from.0 - 1);
            engine.store.set_restored(crate::store::Restored { read_to, ..restored }).await?;
        }
        tracing::error!(
            from = from.0,
            rewind = differs.rewind,
            "rewritten history was read again by the admin"
        );
    }
    let gone = Gone { tipset: last.tipset, height: last.height };
    Ok(Ok(Reread { gone, from, round, differs }))
}

/// The round on the new history, if there is one that does not hold what was seen final.
async fn pin<W: World>(engine: &Engine<W>, last: &Round, now: Now) -> Result<Round, NoRewind> {
    let chain = engine.world.chain();
    let expected = Some(now.epoch);
    let look = Look { expected, last: Some((last.tipset.clone(), last.height)) };
    match chain.pin(&look).await {
        Err(Hold::Rewritten { .. }) => {}
        Err(hold) => return Err(NoRewind::Held(hold)),
        Ok(pin) if pin.round.height == last.height && pin.round.tipset != last.tipset => {}
        Ok(_) => return Err(NoRewind::NothingRewritten),
    }
    let pin = chain.pin(&Look { expected, last: None }).await.map_err(NoRewind::Held)?;
    let round = pin.round;
    match gate::judge(round.head, round.height, now.epoch, round.agreed, pin.wanted) {
        Some(hold) => Err(NoRewind::Held(hold)),
        None => Ok(round),
    }
}

/// The newest remembered tipset that both histories have.
enum Base {
    At {
        tipset: String,
        height: Epoch,
    },
    /// It is older than what is remembered.
    Older {
        oldest: Epoch,
    },
}

/// Halves the trail: whatever is below a tipset of the chain is of the chain, too.
async fn base<W: World>(engine: &Engine<W>, round: &Round) -> Result<Result<Base, NoRewind>, Error> {
    let trail = engine.store.trail().await?;
    let (mut held, mut gone) = (0, trail.len());
    while held < gone {
        let middle = usize::midpoint(held, gone);
        let Some((tipset, height)) = trail.get(middle) else { break };
        let holds = match height.cmp(&round.height) {
            std::cmp::Ordering::Greater => Ok(false),
            std::cmp::Ordering::Equal => Ok(*tipset == round.tipset),
            std::cmp::Ordering::Less => engine.world.chain().holds(round, tipset, *height).await,
        };
        match holds {
            Ok(true) => held = middle + 1,
            Ok(false) => gone = middle,
            Err(why) => return Ok(Err(unread(format!("the tipset at {height}"), why))),
        }
    }
    let newest = held.checked_sub(1).and_then(|at| trail.get(at));
    let oldest = trail.first().map_or(round.height, |(_, height)| *height);
    Ok(Ok(newest.map_or(Base::Older { oldest }, |(tipset, height)| Base::At {
        tipset: tipset.clone(),
        height: *height,
    })))
}

fn unread(what: impl Into<String>, why: NotSeen) -> NoRewind {
    NoRewind::Unread { what: what.into(), why: why.to_string() }
}

/// A contract's events on the new history.
struct ReadAgain {
    after: State,
    prepared: Prepared,
    window: ContractWindow,
}

/// `None`: nothing of it was read from what is rewritten, and following goes on where it is.
async fn contract<W: World>(
    engine: &Engine<W>,
    at: &ContractAt,
    round: &Round,
    from: Epoch,
    now: Now,
) -> Result<Result<Option<ReadAgain>, NoRewind>, Error> {
    if cursor_of(engine, at).await?.next_block <= from {
        return Ok(Ok(None));
    }
    let Some(port) = engine.world.contract(at.address) else {
        return Ok(Err(unread(format!("contract {}", at.address), NotSeen::NotAsked)));
    };
    let first = from.max(at.from_block);
    let known = engine.store.highest_request_before(at.address, first).await?;
    // The contract's own count knows requests that no event was kept of.
    let highest = match port.request_count(Epoch(first.0 - 1)).await {
        Ok(Some(count)) => count,
        Ok(None) | Err(_) => known,
    };
    let before = State { next_block: first, highest_request: highest };
    let what = || format!("events of {} from block {first} on", at.address);
    let mut window = match read(port, round, first).await {
        Ok(window) => window,
        Err(why) => return Ok(Err(unread(what(), why))),
    };
    if first > round.eth_block {
        let prepared = prepare(engine, at, Vec::new(), &window, now);
        return Ok(Ok(Some(ReadAgain { after: before, prepared, window })));
    }
    let (after, requests) = match believe(before, first, round.eth_block, &window)? {
        Ok(believed) => believed,
        Err((_, doubt)) => {
            return Ok(Err(NoRewind::Unread { what: what(), why: doubt.to_string() }));
        }
    };
    // What owners changed on the history that is gone stands anew, too.
    let mut changed = engine.store.requests_changed_since(at.address, first).await?;
    let is_told = |id: &RequestId| window.standing.iter().any(|standing| standing.request == *id);
    changed.retain(|id| id.0 <= after.highest_request && !is_told(id));
    match port.standing(&changed, round.eth_block).await {
        Ok(standing) => window.standing.extend(standing),
        Err(why) => return Ok(Err(unread(format!("requests of {}", at.address), why))),
    }
    let prepared = prepare(engine, at, requests, &window, now);
    Ok(Ok(Some(ReadAgain { after, prepared, window })))
}

/// All windows from `first` to the round as one, whose witness is the weakest.
async fn read<C: Contract>(port: &C, round: &Round, first: Epoch) -> Result<ContractWindow, NotSeen> {
    let mut whole = ContractWindow { witness: Witness::State, ..ContractWindow::default() };
    let mut next = first;
    while next <= round.eth_block {
        let to = Epoch((next.0 + WINDOW_BLOCKS - 1).min(round.eth_block.0));
        let part = port.window(round, next, to).await?;
        whole.requests.extend(part.requests);
        whole.completions.extend(part.completions);
        whole.told.extend(part.told);
        // The last word on a request counts.
        whole.standing.retain(|old| part.standing.iter().all(|new| new.request != old.request));
        whole.standing.extend(part.standing);
        whole.request_count = part.request_count;
        whole.unexplained.extend(part.unexplained);
        if part.witness == Witness::None {
            whole.witness = Witness::None;
        }
        next = Epoch(to.0 + 1);
    }
    Ok(whole)
}

/// The first deal id that is not the same on both histories. The state at the base is before its messages.
async fn first_deal<W: World>(engine: &Engine<W>, base: &Base, from: Epoch) -> Result<DealId, NoRewind> {
    match base {
        Base::At { tipset, height } if from.0 == height.0 + 1 => {
            let at = Round {
                tipset: tipset.clone(),
                height: *height,
                eth_block: *height,
                head: *height,
                agreed: 0,
                asked: 0,
            };
            engine
                .world
                .chain()
                .next_deal(&at)
                .await
                .map_err(|why| unread("the market before the rewrite", why))
        }
        // Every deal is looked at.
        _ => Ok(DealId(0)),
    }
}

/// The orders that the rewrite concerns, as they are on the new history.
async fn orders<W: World>(
    engine: &Engine<W>,
    round: &Round,
    from: Epoch,
    first_deal: DealId,
) -> Result<Result<Vec<(OrderId, OrderState)>, NoRewind>, Error> {
    let concerned = engine.store.orders_since(first_deal, from).await?;
    let deals: Vec<DealId> = concerned.iter().filter_map(deal_of).collect();
    let mut seen: BTreeMap<DealId, DealSeen> = BTreeMap::new();
    for page in deals.chunks(DEALS_AT_ONCE) {
        seen.extend(page.iter().copied().zip(engine.world.chain().deals(round, page).await));
    }
    let history = Rewritten { from, height: round.height };
    let mut states = Vec::with_capacity(concerned.len());
    for stored in &concerned {
        let copy = match (sector_of(stored), deal_of(stored)) {
            (Some((provider, sector)), _) => {
                let listed = engine.world.chain().terms(round, &[(provider, sector)]).await.pop();
                match listed {
                    Some(TermSeen::Listed(_)) => Ok(Copy::There { sector: Some(sector) }),
                    Some(TermSeen::Gone) => Ok(Copy::Never),
                    Some(TermSeen::NotSeen(why)) => Err(why),
                    None => Err(NotSeen::NotAsked),
                }
            }
            (None, Some(deal)) => copy_of(stored, seen.get(&deal)),
            // Nothing of it is on chain.
            (None, None) => Ok(Copy::Never),
        };
        let copy = match copy {
            Ok(copy) => copy,
            Err(why) => return Ok(Err(unread(format!("the copy of order {}", stored.order.id), why))),
        };
        let signed = stored.proposal.as_ref().map(|proposal| &proposal.signed);
        states.push((stored.order.id, rewind::order(&stored.order.state, history, copy, signed)));
    }
    Ok(Ok(states))
}

fn deal_of(stored: &StoredOrder) -> Option<DealId> {
    stored.order.state.on_chain()?.replica.deal()
}

fn sector_of(stored: &StoredOrder) -> Option<(ProviderId, raas_core::ids::SectorNumber)> {
    match stored.order.state.on_chain()?.replica {
        ReplicaRef::Sector { sector } => Some((stored.order.provider, sector)),
        ReplicaRef::Deal(_) => None,
    }
}

/// What the market says of an order's deal, and whether it is the same deal.
fn copy_of(stored: &StoredOrder, seen: Option<&DealSeen>) -> Result<Copy, NotSeen> {
    match seen {
        Some(DealSeen::Present(deal)) if is_deal_of(stored, deal) => {
            Ok(Copy::There { sector: deal.activated.map(|_| deal.sector) })
        }
        Some(DealSeen::Present(_) | DealSeen::NeverAllocated) => Ok(Copy::Never),
        Some(DealSeen::Gone) => Ok(Copy::Removed),
        Some(DealSeen::NotSeen(why)) => Err(*why),
        None => Err(NotSeen::NotAsked),
    }
}

/// Whether a deal is the one that the order stands for, by what is kept of it.
fn is_deal_of(stored: &StoredOrder, deal: &OnChainDeal) -> bool {
    let order = &stored.order;
    let Some(on_chain) = order.state.on_chain() else { return false };
    deal.provider == order.provider
        && (deal.piece, deal.size) == order.deal_piece()
        && (deal.start, deal.end) == (on_chain.term.start, on_chain.term.end)
        && deal.price_per_epoch == order.price_per_epoch
}
