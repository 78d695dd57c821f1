//! A small chain, its providers, and a node that keeps its orders with the real machines.
//!
//! Plans are applied and checked here: [`World::apply`] asserts what no plan may ever do. The checks are
//! written from the rules' words, not with the planner's own helpers.

use super::build::{DAY, LAG, NOW, operator_of, rules};
use raas_core::breaker;
use raas_core::fleet::{Breaker, Census, Fleet, Money, Pace, Provider, SlotCensus};
use raas_core::health::{Health, Term};
use raas_core::holding::{Holding, Slot, health};
use raas_core::ids::{ActorId, DealId, HoldingId, OperatorId, OrderId, ProviderId, SectorNumber};
use raas_core::machine::order::{Effect, Event, next};
use raas_core::observation::{DealSeen, NotSeen, OnChainDeal, Round, SectorSeen};
use raas_core::order::{Cause, Order, OrderState, Signed, SlotRef};
use raas_core::plan::{Action, Plan, Reason, plan};
use raas_core::units::{AttoFil, Epoch};
use std::collections::{BTreeMap, BTreeSet};

/// A deal on the model chain.
#[derive(Clone, Debug)]
pub struct ModelDeal {
    pub order: OrderId,
    pub provider: ProviderId,
    pub term: Term,
    pub activated: Option<Epoch>,
    pub faulty_since: Option<Epoch>,
    pub dead: bool,
}

/// What can befall the world. Numbers pick one of what there is, by remainder.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Advance(u16),
    Deliver(u8),
    Accept(u8),
    Reject(u8),
    Publish(u8),
    Activate(u8),
    Fault(u8),
    Recover(u8),
    Terminate(u8),
    Hide(u8),
    ShowAll,
    ForgetDeals(bool),
    Round,
}

/// Everything there is.
#[derive(Clone, Debug)]
pub struct World {
    pub height: i64,
    pub holdings: Vec<Holding>,
    pub orders: BTreeMap<OrderId, Order>,
    pub deals: BTreeMap<DealId, ModelDeal>,
    pub providers: Vec<Provider>,
    /// Providers whose view cannot be read.
    pub hidden: BTreeSet<ProviderId>,
    /// The endpoint says exit 32 of every deal, sectors truthful.
    pub forgets: bool,
    pub budget: AttoFil,
    pub breaker: Breaker,
    pub pace_cap: u32,
    pub pace_started: u32,
    pub orders_made: u64,
    pub hedges: u64,
    next_order: u64,
    /// Which generation of a place has had a renewal that became active.
    renewed: BTreeSet<(SlotRef, OrderId)>,
}

impl World {
    pub fn new(holdings: Vec<Holding>, providers: Vec<Provider>) -> Self {
        Self {
            height: NOW,
            holdings,
            orders: BTreeMap::new(),
            deals: BTreeMap::new(),
            providers,
            hidden: BTreeSet::new(),
            forgets: false,
            budget: AttoFil(u128::MAX),
            breaker: Breaker::default(),
            pace_cap: u32::MAX,
            pace_started: 0,
            orders_made: 0,
            hedges: 0,
            next_order: 1,
            renewed: BTreeSet::new(),
        }
    }

    /// New orders are numbered from here, when the world starts with some.
    pub const fn start_orders_at(&mut self, number: u64) {
        self.next_order = number;
    }

    pub fn round(&self) -> Round {
        super::build::round(self.height)
    }

    pub fn head(&self) -> i64 {
        self.height + LAG
    }

    pub fn fleet(&self) -> Fleet {
        let mut providers = self.providers.clone();
        for provider in &mut providers {
            let open = self.orders.values().filter(|order| {
                order.provider == provider.id && order.state.occupies() && order.state.on_chain().is_none()
            });
            provider.in_flight = u32::try_from(open.count()).unwrap_or(u32::MAX);
            let faulty = |deal: &ModelDeal| deal.provider == provider.id && deal.faulty_since.is_some();
            provider.healthy = !self.hidden.contains(&provider.id) && !self.deals.values().any(faulty);
        }
        // What can still be published, and what was, is not available.
        let spent = self
            .orders
            .values()
            .filter(|order| order.state.reserves_escrow() || order.state.on_chain().is_some())
            .fold(AttoFil::ZERO, |spent, order| spent.plus(order.cost()));
        Fleet {
            providers,
            money: Money { available: self.budget.minus(spent), ..Money::default() },
            breaker: self.breaker.clone(),
            pace: Pace {
                started: self.pace_started,
                cap: self.pace_cap,
                next_window: Epoch(self.head() + 10),
            },
            released_started: 0,
        }
    }

    pub fn plan(&self) -> Plan {
        plan(&self.holdings, &self.fleet(), &self.round(), &rules(), None)
    }

    /// Moves an order by the machine. Illegal events are the world's own mistakes.
    fn turn(&mut self, id: OrderId, event: &Event) {
        let order = self.orders.get_mut(&id).expect("a known order");
        let was_active = order.state.is_active();
        let (state, effects) = next(&order.state, event).expect("a legal event");
        order.state = state;
        let becomes_active = !was_active && order.state.is_active();
        let (cause, place) =
            (order.cause, effects.iter().any(|effect| matches!(effect, Effect::Place { .. })));
        self.sync(id);
        if let (true, Some(of)) = (becomes_active, cause.renews()) {
            let places: Vec<SlotRef> = self.places_of(id);
            self.renewed.extend(places.into_iter().map(|place| (place, of)));
        }
        if place {
            self.place(id);
        }
    }

    /// Every place that lists the order.
    fn places_of(&self, id: OrderId) -> Vec<SlotRef> {
        let mut places = Vec::new();
        for holding in &self.holdings {
            for slot in holding.pieces.iter().flat_map(|pieces| &pieces.slots) {
                if slot.generations.iter().any(|order| order.id == id) {
                    places.push(SlotRef { holding: holding.id, index: slot.index });
                }
            }
        }
        places
    }

    /// A late publication stays where the place is still free for it, else becomes a spare.
    fn place(&mut self, id: OrderId) {
        for pieces in self.holdings.iter_mut().flat_map(|holding| &mut holding.pieces) {
            for slot in &mut pieces.slots {
                let Some(at) = slot.generations.iter().position(|order| order.id == id) else { continue };
                let others_occupy =
                    slot.generations.iter().any(|order| order.id != id && order.state.occupies());
                let succeeded = slot.generations.iter().skip(at + 1).any(|order| order.state.is_active());
                if others_occupy || succeeded || slot.live() > 2 {
                    pieces.spares.push(slot.generations.remove(at));
                }
            }
        }
    }

    /// Writes the order's truth into every place that lists it, and drops what the store would not keep.
    fn sync(&mut self, id: OrderId) {
        let Some(truth) = self.orders.get(&id) else { return };
        for pieces in self.holdings.iter_mut().flat_map(|holding| &mut holding.pieces) {
            let slots = pieces.slots.iter_mut().flat_map(|slot| &mut slot.generations);
            for order in slots.chain(&mut pieces.spares).filter(|order| order.id == id) {
                *order = truth.clone();
            }
            for slot in &mut pieces.slots {
                forget_closed(slot);
            }
        }
    }

    /// Applies a plan and asserts everything that no plan may do.
    pub fn apply(&mut self, plan: &Plan) {
        let before = self.clone();
        for action in &plan.actions {
            match action {
                Action::Order { .. } => self.order(action),
                // The rules of this world pack nothing.
                Action::Pack { .. } => unreachable!("{action:?}"),
                Action::Fill { slot, spare } => self.fill(*slot, *spare),
                Action::Attest { holding, at, deal, order } => {
                    let state = &self.orders.get(order).expect("a known order").state;
                    assert!(state.is_active(), "only active deals are attested");
                    let holding = self.holding_mut(*holding);
                    let attestation = holding.attestations.iter_mut().find(|a| a.at == *at);
                    let done = &mut attestation.expect("its own request").done;
                    assert!(!done.contains(deal), "attested once");
                    done.push(*deal);
                }
                Action::Evict { holding, piece, .. } => {
                    let found = self.holding_mut(*holding);
                    let pieces = found.pieces.iter_mut().find(|pieces| pieces.piece.commitment == *piece);
                    let pieces = pieces.expect("its own piece");
                    assert!(
                        pieces.piece.retrievable
                            && pieces.orders().any(|order| health(order) == Some(Health::Proven))
                    );
                    pieces.piece.local = false;
                }
                Action::Cancel { order, .. } => self.turn(*order, &Event::Cancel),
            }
        }
        for (holding, was) in self.holdings.iter().zip(&before.holdings) {
            for (pieces, was) in holding.pieces.iter().zip(&was.pieces) {
                let max = holding.policy.replicas.max.max(was.occupied());
                assert!(pieces.occupied() <= max, "occupied slots never above max: {pieces:?}");
                let kept = was.proven().min(holding.policy.replicas.target);
                assert!(pieces.proven() >= kept, "an action of ours lowered the proven count");
            }
        }
    }

    fn holding_mut(&mut self, id: HoldingId) -> &mut Holding {
        self.holdings.iter_mut().find(|holding| holding.id == id).expect("a known holding")
    }

    fn order(&mut self, action: &Action) {
        let Action::Order {
            slots,
            cause,
            piece,
            size,
            within,
            provider,
            operator,
            price_per_epoch,
            duration,
            reason,
            ..
        } = action
        else {
            return;
        };
        assert_eq!(*operator, operator_of(provider.number()));
        let id = OrderId(self.next_order);
        self.next_order += 1;
        self.orders_made += 1;
        let order = Order {
            id,
            piece: *piece,
            size: *size,
            within: *within,
            provider: *provider,
            operator: *operator,
            cause: *cause,
            price_per_epoch: *price_per_epoch,
            duration: *duration,
            planned_at: Epoch(self.head()),
            state: OrderState::Planned,
        };
        if let Cause::Hedge { of, silent } = cause {
            self.hedge(slots, *of, *silent);
        }
        if matches!(reason, Reason::Lost { .. }) {
            self.pace_started += 1;
            assert!(self.pace_started <= self.pace_cap, "more lost copies replaced than the window allows");
        }
        let renewed = self.renewed.clone();
        for place in slots {
            let holding = self.holding_mut(place.holding);
            assert!(holding.open && place.index < holding.policy.replicas.target);
            let pieces = &mut holding.pieces[0];
            let renewed_operator = match cause {
                Cause::Renew { of } | Cause::Hedge { of, .. } => {
                    pieces.orders().find(|order| order.id == *of).map(|order| order.operator)
                }
                _ => None,
            };
            let elsewhere = |order: &&Order| order.state.occupies() || order.state.is_active();
            let used: Vec<OperatorId> =
                pieces.orders().filter(elsewhere).map(|order| order.operator).collect();
            assert!(
                !used.contains(operator) || renewed_operator == Some(*operator),
                "operator {operator} holds a copy of this holding already"
            );
            if !pieces.slots.iter().any(|slot| slot.index == place.index) {
                pieces.slots.push(Slot { index: place.index, generations: vec![] });
            }
            let slot = pieces.slots.iter_mut().find(|slot| slot.index == place.index).expect("a place");
            let occupying = slot.generations.iter().filter(|order| order.state.occupies()).count();
            assert_eq!(occupying, 0, "a second order on its way: {slot:?}");
            assert!(slot.live() <= 1, "a third live generation: {slot:?}");
            if let Some(of) = cause.renews() {
                assert!(!renewed.contains(&(*place, of)), "generation {of} is renewed twice");
            }
            slot.generations.push(order.clone());
        }
        self.orders.insert(id, order);
    }

    /// A hedge is for the accepted, silent, unpublished renewal of a copy that is the last one, as far as
    /// anybody can see, and of a renewal that is no hedge itself, once.
    fn hedge(&mut self, slots: &[SlotRef], of: OrderId, silent: OrderId) {
        let order = &self.orders[&silent];
        assert_eq!(order.cause, Cause::Renew { of }, "a hedge is not hedged");
        let signed = order.state.signed().expect("a signature that waits for the chain");
        let signed_at = signed.term.start.0 - 3 * DAY;
        let is_new = matches!(order.state, OrderState::Accepted(_));
        assert!(!is_new || self.head() - signed_at >= DAY / 2, "hedged before twelve hours");
        let twin = self.orders.values().find(|other| {
            matches!(other.cause, Cause::Hedge { silent: twin, .. } if twin == silent)
                && !matches!(other.state, OrderState::RejectedWatched(_))
                && !other.state.is_closed()
        });
        assert!(twin.is_none(), "hedged twice: {twin:?}");
        for place in slots {
            let pieces =
                &self.holdings.iter().find(|holding| holding.id == place.holding).expect("one").pieces[0];
            let proven = |order: &&Order| health(order) == Some(Health::Proven);
            let operators: BTreeSet<OperatorId> =
                pieces.orders().filter(proven).map(|order| order.operator).collect();
            assert!(operators.len() <= 1, "not the last copy: {operators:?}");
        }
        self.hedges += 1;
        self.turn(silent, &Event::Hedged);
    }

    fn fill(&mut self, place: SlotRef, spare: OrderId) {
        let pieces = &mut self.holding_mut(place.holding).pieces[0];
        let at = pieces.spares.iter().position(|order| order.id == spare).expect("a spare");
        let order = pieces.spares.remove(at);
        let used = |slot: &Slot| {
            slot.generations.iter().any(|other| {
                (other.state.occupies() || other.state.is_active()) && other.operator == order.operator
            })
        };
        let mut others = pieces.slots.iter().filter(|slot| slot.index != place.index);
        assert!(!others.any(used), "the spare's operator holds a place already");
        if !pieces.slots.iter().any(|slot| slot.index == place.index) {
            pieces.slots.push(Slot { index: place.index, generations: vec![] });
        }
        let slot = pieces.slots.iter_mut().find(|slot| slot.index == place.index).expect("a place");
        let succeeds = slot.active().any(|active| order.cause.succeeds() == Some(active.id));
        let under_way = slot.generations.iter().any(|other| other.state.occupies());
        assert!(slot.is_empty() || (succeeds && !under_way && slot.live() <= 1), "no place for it: {slot:?}");
        slot.generations.push(order);
    }

    fn pick(&self, number: u8, wanted: impl Fn(&Order) -> bool) -> Option<OrderId> {
        let found: Vec<OrderId> =
            self.orders.values().filter(|order| wanted(order)).map(|order| order.id).collect();
        found.get(usize::from(number) % found.len().max(1)).copied()
    }

    fn pick_deal(&mut self, number: u8, wanted: impl Fn(&ModelDeal) -> bool) -> Option<&mut ModelDeal> {
        let mut found: Vec<&mut ModelDeal> = self.deals.values_mut().filter(|deal| wanted(deal)).collect();
        let at = usize::from(number) % found.len().max(1);
        (at < found.len()).then(|| found.swap_remove(at))
    }

    /// The node signs what is planned and hands it over.
    pub fn sign(&mut self, id: OrderId) {
        let Some(order) = self.orders.get(&id).filter(|order| matches!(order.state, OrderState::Planned))
        else {
            return;
        };
        let start = Epoch(self.head() + 3 * DAY);
        let signed = Signed {
            attempt: 1,
            proposal_cid: format!("proposal-{id}"),
            term: Term { start, end: start.after(order.duration) },
        };
        self.turn(id, &Event::Signed(signed));
        self.turn(id, &Event::DeliverySent);
    }

    fn publish(&mut self, id: OrderId) {
        let order = self.orders.get(&id).expect("a known order");
        let Some(signed) = order.state.signed() else { return };
        if signed.term.start.0 < self.height || self.deals.values().any(|deal| deal.order == id) {
            return;
        }
        let deal = ModelDeal {
            order: id,
            provider: order.provider,
            term: signed.term,
            activated: None,
            faulty_since: None,
            dead: false,
        };
        self.deals.insert(DealId(500_000 + id.0), deal);
    }

    /// Lets one thing happen.
    pub fn step(&mut self, step: Step) {
        let height = Epoch(self.height);
        match step {
            Step::Advance(epochs) => {
                self.height += i64::from(epochs);
                self.pace_started = 0;
            }
            Step::Deliver(n) => {
                if let Some(id) = self.pick(n, |order| matches!(order.state, OrderState::Planned)) {
                    self.sign(id);
                }
            }
            Step::Accept(n) | Step::Reject(n) => {
                let event = match step {
                    Step::Accept(_) => Event::AcceptedByProvider,
                    _ => Event::RejectedByProvider,
                };
                let id = self.pick(n, |order| {
                    matches!(order.state, OrderState::Delivered(_) | OrderState::Accepted(_))
                });
                if let Some(id) = id {
                    self.turn(id, &event);
                }
            }
            Step::Publish(n) => {
                if let Some(id) = self.pick(n, |order| order.state.signed().is_some()) {
                    self.publish(id);
                }
            }
            Step::Activate(n) => {
                let pending = |deal: &ModelDeal| deal.activated.is_none() && deal.term.start >= height;
                if let Some(deal) = self.pick_deal(n, pending) {
                    deal.activated = Some(height);
                }
            }
            Step::Fault(n) => {
                let live =
                    |deal: &ModelDeal| deal.activated.is_some() && !deal.dead && deal.faulty_since.is_none();
                if let Some(deal) = self.pick_deal(n, live) {
                    deal.faulty_since = Some(height);
                }
            }
            Step::Recover(n) => {
                if let Some(deal) = self.pick_deal(n, |deal| deal.faulty_since.is_some() && !deal.dead) {
                    deal.faulty_since = None;
                }
            }
            Step::Terminate(n) => {
                if let Some(deal) = self.pick_deal(n, |deal| deal.activated.is_some() && !deal.dead) {
                    deal.dead = true;
                }
            }
            Step::Hide(n) => {
                let at = usize::from(n) % self.providers.len();
                self.hidden.insert(self.providers[at].id);
            }
            Step::ShowAll => self.hidden.clear(),
            Step::ForgetDeals(forgets) => self.forgets = forgets,
            Step::Round => {
                self.observe();
                self.apply(&self.plan());
            }
        }
    }

    fn deal_seen(&self, id: DealId, deal: &ModelDeal) -> DealSeen {
        if self.forgets || deal.dead || self.height >= deal.term.end.0 {
            return DealSeen::Gone;
        }
        let order = self.orders.get(&deal.order).expect("a known order");
        DealSeen::Present(Box::new(OnChainDeal {
            piece: order.piece,
            size: order.size,
            verified: false,
            client: ActorId(1),
            provider: deal.provider,
            label: String::new(),
            start: deal.term.start,
            end: deal.term.end,
            price_per_epoch: order.price_per_epoch,
            provider_collateral: AttoFil(2),
            client_collateral: AttoFil::ZERO,
            activated: deal.activated,
            sector: SectorNumber(id.0),
        }))
    }

    fn sector_seen(&self, deal: &ModelDeal) -> SectorSeen {
        if self.hidden.contains(&deal.provider) {
            SectorSeen::NotSeen(NotSeen::RpcFailed)
        } else if deal.dead {
            SectorSeen::Dead
        } else {
            deal.faulty_since.map_or(SectorSeen::Live, |since| SectorSeen::Faulty { since: Some(since) })
        }
    }

    /// One round over every order, and the breaker after it.
    pub fn observe(&mut self) {
        let round = self.round();
        let ids: Vec<OrderId> = self.orders.keys().copied().collect();
        for id in ids {
            let published = self.deals.iter().find(|(_, deal)| deal.order == id);
            let published = published.map(|(deal, model)| (*deal, model.clone()));
            if let Some((deal, model)) = published {
                self.turn(id, &Event::SeenPublished { deal, term: model.term, height: round.height });
                let (deal, sector) = (self.deal_seen(deal, &model), self.sector_seen(&model));
                self.turn(id, &Event::Observed { deal, sector, round: round.clone() });
            }
            self.turn(id, &Event::FinalizedAt(round.height));
        }
        self.breaker = breaker::next(&self.breaker, &self.census(), round.height);
    }

    fn census(&self) -> Census {
        let mut census = Census::default();
        for slot in self.holdings.iter().flat_map(|h| &h.pieces).flat_map(|p| &p.slots) {
            let Some(order) = slot.current() else { continue };
            let row =
                census.providers.entry(order.provider).or_insert((order.operator, SlotCensus::default()));
            row.1.slots += 1;
            let fault = order.state.on_chain().and_then(|on_chain| on_chain.health.fault);
            if let (Some(Health::Suspect), Some(fault)) = (health(order), fault) {
                row.1.suspect += 1;
                row.1.newly_suspect += u32::from(self.height - fault.since.0 <= DAY);
            }
        }
        census
    }

    /// Honest providers do what they were asked to: everything signed is published and activated.
    pub fn honest(&mut self) {
        let ids: Vec<OrderId> = self.orders.keys().copied().collect();
        for id in ids {
            self.sign(id);
            if self.orders.get(&id).is_some_and(|order| order.state.occupies()) {
                self.publish(id);
            }
        }
        let height = Epoch(self.height);
        for deal in
            self.deals.values_mut().filter(|deal| deal.activated.is_none() && deal.term.start >= height)
        {
            deal.activated = Some(height);
        }
    }
}

/// Keeps open generations, the last closed one, the last that was lost or ended, and the last of those that had
/// been active.
fn forget_closed(slot: &mut Slot) {
    let last_closed = slot.generations.iter().rposition(|order| order.state.is_closed());
    let gone = |order: &Order| matches!(order.state, OrderState::Lost { .. } | OrderState::Ended(_));
    let last_gone = slot.generations.iter().rposition(gone);
    let last_once_active = slot.generations.iter().rposition(|order| order.state.was_active());
    let mut at = 0;
    slot.generations.retain(|order| {
        let keep = !order.state.is_closed() || [last_closed, last_gone, last_once_active].contains(&Some(at));
        at += 1;
        keep
    });
}
