//! Finds the deals behind signed proposals on chain, and says which proposals can never be published any more.
//!
//! Market events are the fast way, and they can lie by silence. So an order expires only after every deal id
//! that was allocated since its signature has been looked at and is not it; whatever cannot be looked at
//! leaves the order open.

use crate::engine::{Engine, Error};
use crate::store::{SeenProposal, StoredOrder};
use crate::tasks::observe::Events;
use crate::world::World;
use raas_core::health::Term;
use raas_core::ids::{ActorId, DealId, OrderId};
use raas_core::machine::order::Event;
use raas_core::observation::{DealSeen, OnChainDeal, Round};
use raas_core::order::{Cause, OrderState};
use raas_core::ports::{Chain, DealChange, DealEvent};
use raas_core::units::{AttoFil, Epoch, Epochs};
use std::collections::BTreeSet;

/// Deal ids read in one call of the search.
const SEARCH_PAGE: usize = 100;
/// Such calls in one round for ids that no event told of.
const SEARCH_PAGES: usize = 5;

/// What the search found.
pub struct Found {
    /// Events for the orders concerned.
    pub events: Vec<(OrderId, Event)>,
    /// Market events are read and settled up to here.
    pub read_to: Epoch,
    /// Every deal below this id was told by an event or looked at, where that could be found out.
    pub deals_read_to: Option<DealId>,
    /// The deals behind `events` as the market has them.
    pub proposals: Vec<(OrderId, SeenProposal)>,
}

impl Found {
    /// That `deal` is published, if one of `orders` is behind it. Which.
    fn note(
        &mut self,
        deal: DealId,
        on_chain: &OnChainDeal,
        client: ActorId,
        orders: &[&StoredOrder],
        round: &Round,
    ) -> Option<OrderId> {
        let order = owner_of(on_chain, client, orders)?.order.id;
        let term = Term { start: on_chain.start, end: on_chain.end };
        self.events.push((order, Event::SeenPublished { deal, term, height: round.height }));
        let seen = SeenProposal { deal, seen_at: round.height, on_chain: on_chain.clone() };
        self.proposals.push((order, seen));
        Some(order)
    }
}

/// Looks for every signed order of `unsettled`, with what the market told. `confirmed` says that the endpoint shows
/// deals that are known: only then is an id that it calls gone believed to be gone.
pub async fn find<W: World>(
    engine: &Engine<W>,
    round: &Round,
    unsettled: &[StoredOrder],
    events: &Events,
    confirmed: bool,
) -> Result<Found, Error> {
    let waiting: Vec<&StoredOrder> = unsettled.iter().filter(|stored| waits_for_chain(stored)).collect();
    let read_to = Epoch(events.from.0 - 1);
    let mut found = Found { events: Vec::new(), read_to, deals_read_to: None, proposals: Vec::new() };
    if waiting.is_empty() {
        // Nobody waits for a publication, and for all else the sweep is the truth.
        found.read_to = events.to;
        return Ok(found);
    }
    let chain = engine.world.chain();
    let Ok(Some(client)) = chain.client_id().await else { return Ok(found) };
    let told = events.told.iter().flat_map(|events| &events.told);
    let listed: Vec<DealEvent> =
        told.filter(|event| event.change == DealChange::Published).copied().collect();
    let ours: Vec<DealEvent> = listed.iter().filter(|event| event.client == client).copied().collect();
    if events.told.is_some() && settle(engine, round, client, &waiting, &ours, &mut found).await {
        found.read_to = events.to;
    }
    untold(engine, round, client, &waiting, &listed, &mut found).await?;
    let late: Vec<&StoredOrder> = waiting
        .into_iter()
        .filter(|stored| {
            let is_over = start_of(stored).is_some_and(|start| round.height > start);
            is_over || seems_silent(stored, round, engine.settings.rules.hedge_after)
        })
        .filter(|stored| !found.events.iter().any(|(other, _)| *other == stored.order.id))
        .collect();
    let first =
        late.iter().filter_map(|stored| stored.proposal.as_ref()).map(|signed| signed.next_deal).min();
    let Some(first) = first else { return Ok(found) };
    let others: BTreeSet<DealId> = listed
        .iter()
        .filter(|event| event.client != client)
        .map(|event| event.deal)
        .chain(engine.store.deal_ids(first).await?)
        .collect();
    search(engine, round, client, &late, &others, confirmed, &mut found).await;
    Ok(found)
}

fn waits_for_chain(stored: &StoredOrder) -> bool {
    stored.order.state.signed().is_some()
}

/// Whether a renewal is about to be hedged because nothing was heard of it. That no event told of its publication is no
/// reason to spend money, since an index has holes: it is looked for by its id first.
fn seems_silent(stored: &StoredOrder, round: &Round, hedge_after: Epochs) -> bool {
    let renews = matches!(stored.order.cause, Cause::Renew { .. });
    let accepted = matches!(stored.order.state, OrderState::Accepted(_));
    renews && accepted && round.head >= stored.order.planned_at.after(hedge_after)
}

fn start_of(stored: &StoredOrder) -> Option<Epoch> {
    stored.order.state.signed().map(|signed| signed.term.start)
}

/// Matches listed deals to orders. False when one of them could not be read, so that the cursor stays.
async fn settle<W: World>(
    engine: &Engine<W>,
    round: &Round,
    client: ActorId,
    waiting: &[&StoredOrder],
    listed: &[DealEvent],
    found: &mut Found,
) -> bool {
    let ids: Vec<DealId> = listed.iter().map(|event| event.deal).collect();
    let mut all_read = true;
    for (deal, seen) in ids.iter().zip(engine.world.chain().deals(round, &ids).await) {
        match seen {
            DealSeen::Present(on_chain) => {
                found.note(*deal, &on_chain, client, waiting, round);
            }
            // Removed since: the search by ids decides with more witnesses.
            DealSeen::Gone => {}
            DealSeen::NeverAllocated | DealSeen::NotSeen(_) => all_read = false,
        }
    }
    all_read
}

/// An index has holes, and ids have none: every deal that was allocated and that no event told of is looked at, once.
async fn untold<W: World>(
    engine: &Engine<W>,
    round: &Round,
    client: ActorId,
    waiting: &[&StoredOrder],
    listed: &[DealEvent],
    found: &mut Found,
) -> Result<(), Error> {
    let chain = engine.world.chain();
    let signed = waiting.iter().filter_map(|stored| stored.proposal.as_ref());
    let first = signed.map(|signed| signed.next_deal).min();
    let (Some(first), Ok(next)) = (first, chain.next_deal(round).await) else { return Ok(()) };
    let from = engine.store.deals_read_to().await?.map_or(first, |read| read.max(first));
    let mut known = engine.store.deal_ids(from).await?;
    known.extend(listed.iter().map(|event| event.deal));
    let ids: Vec<DealId> = (from.0..next.0).map(DealId).filter(|deal| !known.contains(deal)).collect();
    let mut read_to = from.max(next);
    for page in ids.chunks(SEARCH_PAGE).take(SEARCH_PAGES) {
        for (deal, seen) in page.iter().zip(chain.deals(round, page).await) {
            match seen {
                DealSeen::Present(on_chain) => {
                    found.note(*deal, &on_chain, client, waiting, round);
                }
                // What is gone by now is for the search at the order's end, which asks for more witnesses.
                DealSeen::Gone => {}
                DealSeen::NeverAllocated | DealSeen::NotSeen(_) => read_to = read_to.min(*deal),
            }
        }
    }
    if let Some(unread) = ids.get(SEARCH_PAGE * SEARCH_PAGES) {
        read_to = read_to.min(*unread);
    }
    found.deals_read_to = Some(read_to);
    Ok(())
}

/// Looks at every id allocated since the oldest signature; an order that is none of them has expired. `others` are
/// ids that are not what is looked for: other clients', and those of orders that are known.
async fn search<W: World>(
    engine: &Engine<W>,
    round: &Round,
    client: ActorId,
    late: &[&StoredOrder],
    others: &BTreeSet<DealId>,
    confirmed: bool,
    found: &mut Found,
) {
    let chain = engine.world.chain();
    let first =
        late.iter().filter_map(|stored| stored.proposal.as_ref()).map(|signed| signed.next_deal.0).min();
    let (Some(first), Ok(next)) = (first, chain.next_deal(round).await) else { return };
    let ids: Vec<DealId> = (first..next.0).map(DealId).filter(|deal| !others.contains(deal)).collect();
    let (mut unread, mut gone, mut present) = (false, false, confirmed);
    let mut seen_here: Vec<OrderId> = Vec::new();
    for page in ids.chunks(SEARCH_PAGE) {
        for (deal, seen) in page.iter().zip(chain.deals(round, page).await) {
            match seen {
                DealSeen::Present(on_chain) => {
                    present = true;
                    seen_here.extend(found.note(*deal, &on_chain, client, late, round));
                }
                DealSeen::Gone => gone = true,
                DealSeen::NeverAllocated | DealSeen::NotSeen(_) => unread = true,
            }
        }
    }
    if gone && !present {
        // Nothing shows that the endpoint does not forget. Money does: what a live deal binds is locked.
        present = chain.balances().await.is_ok_and(|balances| balances.locked == AttoFil::ZERO);
    }
    if !unread && (present || !gone) {
        let rest = late.iter().filter(|stored| !seen_here.contains(&stored.order.id));
        found.events.extend(rest.map(|stored| (stored.order.id, Event::FinalizedAt(round.height))));
    }
}

/// The order whose signed proposal is this deal, field by field. A provider's word plays no part.
fn owner_of<'a, 'b>(
    deal: &OnChainDeal,
    client: ActorId,
    orders: &'b [&'a StoredOrder],
) -> Option<&'b &'a StoredOrder> {
    orders.iter().find(|stored| {
        let order = &stored.order;
        let Some(signed) = order.state.signed() else { return false };
        deal.client == client
            && deal.provider == order.provider
            && (deal.piece, deal.size) == order.deal_piece()
            && deal.start == signed.term.start
            && deal.end == signed.term.end
            && deal.price_per_epoch == order.price_per_epoch
            && !deal.verified
            && !matches!(order.state, OrderState::Planned)
    })
}
