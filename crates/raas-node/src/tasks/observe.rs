//! Observe: pins a round, looks at what is due, and stores what changed in one write.
//!
//! Nothing is decided here about money. A closed gate stores nothing but the reason; a read that failed is
//! `NotSeen`, which the rules turn into Unknown. What is read in a round is paced by `watch::reading`.

use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::store::{Incident, RoundReport, SeenProposal, Trouble, TroubleKind};
use crate::tasks::beside::Beside;
use crate::tasks::changes::Changes;
use crate::tasks::look::{self, Trust};
use crate::tasks::{adopt, published};
use crate::watch::{self, FleetIndex, Probe, Reading};
use crate::world::World;
use raas_core::gate::{self, Hold};
use raas_core::health::{Health, LossReason};
use raas_core::ids::{DealId, OrderId, ProviderId};
use raas_core::observation::{ProviderView, Round};
use raas_core::order::OrderState;
use raas_core::ports::{Chain, DealChange, DealEvents, Look, Now};
use raas_core::units::{Epoch, Epochs};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A provider that took an order and let it lapse is passed over for this long: a week, since each such try
/// costs a whole start delay.
const LAPSE_BACKS_OFF: Epochs = Epochs::days(7);

/// What a pass saw.
pub struct Seen {
    /// The round, unless no endpoint answered and none was ever seen.
    pub round: Option<Round>,
    /// Why nothing may be started.
    pub hold: Option<Hold>,
    /// Whether the store changed.
    pub changed: bool,
}

/// Pins, reads, judges and stores one round.
pub async fn observe<W: World>(
    engine: &Engine<W>,
    index: &mut FleetIndex,
    beside: &mut Beside<'_>,
    now: Now,
) -> Result<Seen, Error> {
    let last = engine.store.last_round().await?.map(|(round, _)| round);
    let look = Look {
        expected: Some(now.epoch),
        last: last.as_ref().map(|round| (round.tipset.clone(), round.height)),
    };
    let pin = match beside.wait(engine, index, engine.world.chain().pin(&look)).await? {
        Ok(pin) => pin,
        Err(hold) => return Ok(Seen { round: last, hold: Some(hold), changed: false }),
    };
    let went_back = last.as_ref().and_then(|before| match pin.round.height.cmp(&before.height) {
        Ordering::Less => Some(Hold::Behind { finalized: pin.round.height, seen: before.height }),
        Ordering::Equal => {
            (pin.round.tipset != before.tipset).then_some(Hold::Rewritten { height: before.height })
        }
        Ordering::Greater => None,
    });
    let round = &pin.round;
    let hold = gate::judge(round.head, round.height, now.epoch, round.agreed, pin.wanted).or(went_back);
    if hold.is_some() {
        return Ok(Seen { round: Some(pin.round), hold, changed: false });
    }
    let same_round = last.as_ref().is_some_and(|before| before.height == pin.round.height);
    // A restored store holds the plan back, not the looking.
    let was_open = matches!(engine.status().hold, None | Some(Hold::Restored { .. }));
    if same_round && was_open && engine.status().round.is_some() {
        return go_on(engine, index, pin.round).await;
    }
    let elapsed = last.map_or(1, |before| pin.round.height.0 - before.height.0);
    read(engine, index, beside, pin.round, elapsed).await
}

/// Everything that is due at this tipset was read; adoption, and what is left in the queue, can bring something new.
pub async fn go_on<W: World>(
    engine: &Engine<W>,
    index: &mut FleetIndex,
    round: Round,
) -> Result<Seen, Error> {
    let adopted = adopt::adopt(engine, &round).await?;
    let settled = settle_more(engine, index, &round).await?;
    Ok(Seen { round: Some(round), hold: None, changed: adopted || settled })
}

async fn read<W: World>(
    engine: &Engine<W>,
    index: &mut FleetIndex,
    beside: &mut Beside<'_>,
    round: Round,
    elapsed: i64,
) -> Result<Seen, Error> {
    index.look_again(round.height);
    let events = beside.wait(engine, index, events(engine, &round)).await??;
    let before = Before::of(index);
    let named = events.named();
    let mut reading = watch::reading(index, round.height, elapsed, &named);
    if events.told.as_ref().is_some_and(|events| !events.left_out.is_empty()) {
        // Whose sectors were terminated is not told. Those who lost more than they have left are found by counts, the
        // others by going over all of them once more.
        index.shelves.values_mut().for_each(|shelf| shelf.lives_due = true);
        reading.faults = index.shelves.keys().copied().collect();
    }
    let mut changes = Changes::default();
    let trust = look::look(engine, index, beside, &round, &reading, &mut changes).await?;
    let denied = Seen { round: Some(round.clone()), hold: Some(Hold::Contradiction), changed: false };
    if trust == Trust::Denies {
        return Ok(denied);
    }
    let unsettled = engine.store.unsettled_orders().await?;
    let found = published::find(engine, &round, &unsettled, &events, trust == Trust::Confirmed).await?;
    changes.add(unsettled);
    let mut new = Reading::default();
    for (order, event) in found.events {
        changes.step(order, &event)?;
        new.copies.extend(probe(&changes, order));
    }
    if !new.copies.is_empty() {
        for probe in &new.copies {
            if let Some(stored) = changes.stored(probe.order) {
                index.turn(stored, changes.state_of(stored));
            }
        }
        look::look(engine, index, beside, &round, &new, &mut changes).await?;
    }
    if !look::settle_doomed(engine, index, &round, &mut changes).await? {
        return Ok(denied);
    }
    changes.cancel_unsigned_beside_late()?;
    let market = Market {
        events_read_to: found.read_to,
        deals_read_to: found.deals_read_to,
        proposals: found.proposals,
    };
    store(engine, index, &round, &before, &changes, market).await?;
    adopt::adopt(engine, &round).await?;
    Ok(Seen { round: Some(round), hold: None, changed: true })
}

/// Turns and losses that the pass before left over. True when there were any.
async fn settle_more<W: World>(
    engine: &Engine<W>,
    index: &mut FleetIndex,
    round: &Round,
) -> Result<bool, Error> {
    if index.queue.is_empty() {
        return Ok(false);
    }
    let before = Before::of(index);
    let mut changes = Changes::default();
    look::settle_turned(engine, index, round, &mut changes).await?;
    if !look::settle_doomed(engine, index, round, &mut changes).await? {
        return Ok(false);
    }
    if changes.changed().next().is_none() {
        return Ok(!index.queue.is_empty());
    }
    let events_read_to = engine.store.events_read_to().await?.unwrap_or(round.height);
    let market = Market { events_read_to, deals_read_to: None, proposals: Vec::new() };
    store(engine, index, round, &before, &changes, market).await?;
    Ok(true)
}

/// How far the market was read, and what was seen there for the first time.
struct Market {
    events_read_to: Epoch,
    deals_read_to: Option<DealId>,
    proposals: Vec<(OrderId, SeenProposal)>,
}

/// What the market told since the last time.
pub struct Events {
    /// First height of the window.
    pub from: Epoch,
    /// Its last height: events up to T - 1 are what native state at T shows.
    pub to: Epoch,
    /// `None` when they could not be read.
    pub told: Option<DealEvents>,
}

impl Events {
    fn named(&self) -> BTreeSet<(ProviderId, DealId)> {
        let told = self.told.iter().flat_map(|events| &events.told);
        told.filter(|event| event.change != DealChange::Published)
            .map(|event| (event.provider, event.deal))
            .collect()
    }
}

async fn events<W: World>(engine: &Engine<W>, round: &Round) -> Result<Events, Error> {
    let to = Epoch(round.height.0 - 1);
    let from = engine.store.events_read_to().await?.map_or(to, |read| Epoch(read.0 + 1));
    let told = engine.world.chain().deal_events(from, to).await.ok();
    Ok(Events { from, to, told })
}

fn probe(changes: &Changes, order: OrderId) -> Option<Probe> {
    let stored = changes.stored(order)?;
    let on_chain = changes.state_of(stored).on_chain()?;
    let (provider, replica) = (stored.order.provider, on_chain.replica);
    Some(Probe { order, provider, replica, sector: None, over: false })
}

/// The index before a round, for what the round changes of it.
struct Before {
    views: BTreeMap<ProviderId, ProviderView>,
    suspects: BTreeMap<ProviderId, usize>,
}

impl Before {
    fn of(index: &FleetIndex) -> Self {
        Self { views: index.views(), suspects: suspects(index) }
    }
}

/// Suspects of each provider, those that the queue holds among them.
fn suspects(index: &FleetIndex) -> BTreeMap<ProviderId, usize> {
    let left = index.queue.left();
    let of = |provider| left.get(provider).map_or(0, |left| left.faulty as usize);
    index.shelves.iter().map(|(provider, shelf)| (*provider, shelf.suspects() + of(provider))).collect()
}

/// Brings the index to where the round has brought the orders, and stores all of it in one write.
async fn store<W: World>(
    engine: &Engine<W>,
    index: &mut FleetIndex,
    round: &Round,
    before: &Before,
    changes: &Changes,
    market: Market,
) -> Result<(), Error> {
    index.turn_all(changes.changed());
    note_lapses(engine, changes, round).await?;
    let (orders, replicas) = changes.to_write();
    let views = index.views();
    let report = RoundReport {
        round: round.clone(),
        hold: None,
        orders,
        replicas,
        turning: index.queue.left().iter().map(|(provider, left)| (*provider, left.turned)).collect(),
        turned_before: index.queue.begun().clone(),
        troubles: troubles(index, before, changes),
        views: index.views_to_store(&before.views),
        adopted: Vec::new(),
        sightings: Vec::new(),
        told: Vec::new(),
        breaker: raas_core::breaker::next(
            &engine.store.breaker().await?,
            &index.census(round.height),
            round.height,
        ),
        events_read_to: market.events_read_to,
        deals_read_to: market.deals_read_to,
        proposals: market.proposals,
    };
    let applied = failpoint::around("observe.apply", engine.store.apply_round(&report)).await?;
    index.queue.begin(report.turning.into_keys());
    tell(&applied.incidents);
    engine.note_views(views);
    let holdings: BTreeSet<_> = applied
        .skipped
        .iter()
        .filter_map(|order| changes.stored(*order))
        .map(|stored| stored.holding)
        .collect();
    if !holdings.is_empty() {
        let holdings: Vec<_> = holdings.into_iter().collect();
        for row in engine.store.watched_of(&holdings).await? {
            index.put(&row);
        }
    }
    Ok(())
}

/// One line for a provider's trouble and one for its end, however many replicas it concerns.
fn tell(incidents: &[Incident]) {
    for incident in incidents {
        let Incident { id, provider, kind, replicas, worst, .. } = incident;
        match incident.closed_at {
            None => tracing::warn!(id, %provider, replicas, "incident: copies are {}", kind.words()),
            Some(_) => tracing::warn!(id, %provider, worst, "incident is over: copies were {}", kind.words()),
        }
    }
}

/// Providers' troubles as far as they changed.
fn troubles(index: &FleetIndex, before: &Before, changes: &Changes) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let providers: BTreeSet<ProviderId> =
        before.suspects.keys().chain(index.shelves.keys()).copied().collect();
    let suspects = suspects(index);
    for provider in providers {
        let shelf = index.shelves.get(&provider);
        let faulty = suspects.get(&provider).copied().unwrap_or(0);
        if faulty != before.suspects.get(&provider).copied().unwrap_or(0) {
            troubles.push(Trouble { provider, kind: TroubleKind::Faulty, replicas: count(faulty) });
        }
        let unseen = shelf.is_some_and(|shelf| shelf.view.unseen.is_some());
        if unseen != before.views.get(&provider).is_some_and(|view| view.unseen.is_some()) {
            let replicas = shelf.filter(|_| unseen).map_or(0, |shelf| count(shelf.active().max(1)));
            troubles.push(Trouble { provider, kind: TroubleKind::Unseen, replicas });
        }
    }
    let mut lost: BTreeMap<ProviderId, u32> = BTreeMap::new();
    for (stored, state) in changes.changed() {
        if matches!(state, OrderState::Lost { reason: LossReason::Terminated, .. }) {
            *lost.entry(stored.order.provider).or_default() += 1;
        }
    }
    troubles.extend(lost.into_iter().map(|(provider, replicas)| Trouble {
        provider,
        kind: TroubleKind::Lost,
        replicas,
    }));
    troubles
}

/// A provider that let an order lapse is passed over for a while; once for all its orders of a round.
async fn note_lapses<W: World>(engine: &Engine<W>, changes: &Changes, round: &Round) -> Result<(), Error> {
    let mut lapses: BTreeMap<ProviderId, &str> = BTreeMap::new();
    let mut well: BTreeSet<ProviderId> = BTreeSet::new();
    for (stored, state) in changes.changed() {
        let why = match state {
            OrderState::Expired => "took an order and never published it",
            OrderState::Lost { reason: LossReason::NeverActivated, .. } => {
                "published an order and never activated it"
            }
            OrderState::Lost { .. } => "terminated the sector of an order",
            OrderState::Active(on_chain)
                if on_chain.health.health == Health::Proven && !stored.order.state.is_active() =>
            {
                well.insert(stored.order.provider);
                continue;
            }
            _ => continue,
        };
        lapses.insert(stored.order.provider, why);
    }
    for provider in well {
        engine.store.provider_succeeded(provider).await?;
    }
    for (provider, why) in lapses {
        let until = round.head.after(LAPSE_BACKS_OFF);
        engine.store.provider_failed(provider, why, until).await?;
    }
    Ok(())
}
