//! Observe: pins a round, reads every open order's deal and sector, and stores what changed in one write.
//!
//! Nothing is decided here about money. A closed gate stores nothing but the reason; a read that failed is
//! `NotSeen`, which the rules turn into Unknown.

use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::store::{RoundReport, StoredOrder};
use crate::tasks::{adopt, census, published};
use crate::world::World;
use raas_core::gate::{self, Hold};
use raas_core::health::Health;
use raas_core::ids::{OrderId, ProviderId, SectorNumber};
use raas_core::machine::order::{self, Event};
use raas_core::observation::{DealSeen, NotSeen, ProviderSeen, Round, SectorSeen};
use raas_core::order::{OnChain, OrderState, SlotRef};
use raas_core::ports::{Chain, Look, Now};
use raas_core::units::{AttoFil, Epoch, Epochs};
use std::cmp::Ordering;
use std::collections::BTreeMap;

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
pub async fn observe<W: World>(engine: &Engine<W>, now: Now) -> Result<Seen, Error> {
    let last = engine.store.last_round().await?;
    let look = Look {
        expected: Some(now.epoch),
        last: last.as_ref().map(|(round, _)| (round.tipset.clone(), round.height)),
    };
    let pin = match engine.world.chain().pin(&look).await {
        Ok(pin) => pin,
        Err(hold) => {
            return Ok(Seen { round: last.map(|(round, _)| round), hold: Some(hold), changed: false });
        }
    };
    let went_back = last.as_ref().and_then(|(before, _)| match pin.round.height.cmp(&before.height) {
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
    let same_round = last.as_ref().is_some_and(|(before, _)| before.height == pin.round.height);
    // A restored store holds the plan back, not the looking.
    let was_open = matches!(engine.status().hold, None | Some(Hold::Restored { .. }));
    if same_round && was_open && engine.status().round.is_some() {
        // Everything at this tipset was read; only adoption can bring something new.
        let adopted = adopt::adopt(engine, &pin.round).await?;
        return Ok(Seen { round: Some(pin.round), hold: None, changed: adopted });
    }
    read(engine, pin.round, now).await
}

async fn read<W: World>(engine: &Engine<W>, round: Round, now: Now) -> Result<Seen, Error> {
    let open = engine.store.open_orders().await?;
    let mut changes = Changes::default();
    let on_chain = |changes: &Changes, stored: &StoredOrder| changes.state_of(stored).on_chain().copied();
    let known: Vec<(&StoredOrder, OnChain)> =
        open.iter().filter_map(|stored| Some((stored, on_chain(&changes, stored)?))).collect();
    let trust = watch(engine, &round, &known, &mut changes).await?;
    if trust == Trust::Denies {
        return Ok(Seen { round: Some(round), hold: Some(Hold::Contradiction), changed: false });
    }
    let found = published::find(engine, &round, &open, trust == Trust::Confirmed).await?;
    let mut new = Vec::new();
    for (stored, event) in found.events {
        changes.step(stored, &event)?;
        new.extend(on_chain(&changes, stored).map(|on_chain| (stored, on_chain)));
    }
    watch(engine, &round, &new, &mut changes).await?;
    changes.cancel_unsigned_beside_late(&open)?;
    note_lapses(engine, &open, &changes, &round, now).await?;
    let after: Vec<(&StoredOrder, &OrderState)> =
        open.iter().map(|stored| (stored, changes.state_of(stored))).collect();
    let breaker =
        raas_core::breaker::next(&engine.store.breaker().await?, &census::count(&after), round.height);
    let report = RoundReport {
        round: round.clone(),
        hold: None,
        orders: changes.changed(&open),
        adopted: Vec::new(),
        sightings: Vec::new(),
        breaker,
        events_read_to: found.read_to,
    };
    failpoint::around("observe.apply", engine.store.apply_round(&report)).await?;
    adopt::adopt(engine, &round).await?;
    Ok(Seen { round: Some(round), hold: None, changed: true })
}

/// New states by order, so that several events of one round build on each other.
#[derive(Default)]
pub(crate) struct Changes {
    states: BTreeMap<OrderId, OrderState>,
}

impl Changes {
    /// The state after what this round did so far.
    pub(crate) fn state_of<'a>(&'a self, stored: &'a StoredOrder) -> &'a OrderState {
        self.states.get(&stored.order.id).unwrap_or(&stored.order.state)
    }

    fn step(&mut self, stored: &StoredOrder, event: &Event) -> Result<(), Error> {
        let (state, _effects) = order::next(self.state_of(stored), event)
            .map_err(|source| Error::Order { order: stored.order.id, source })?;
        self.states.insert(stored.order.id, state);
        Ok(())
    }

    /// A rejected or hedged proposal that was published all the same takes its slot back, if what was ordered in
    /// its stead has not been signed yet.
    fn cancel_unsigned_beside_late(&mut self, open: &[StoredOrder]) -> Result<(), Error> {
        let late: Vec<SlotRef> = open
            .iter()
            .filter(|stored| came_late(stored, self.state_of(stored)))
            .flat_map(|stored| stored.slots.iter().copied())
            .collect();
        for stored in open {
            let planned = matches!(self.state_of(stored), OrderState::Planned);
            if planned && !stored.slots.is_empty() && stored.slots.iter().all(|slot| late.contains(slot)) {
                self.step(stored, &Event::Cancel)?;
            }
        }
        Ok(())
    }

    /// Changed orders; those that free their place first, so that the place is free for others in one write.
    fn changed(&self, open: &[StoredOrder]) -> Vec<(OrderId, i64, OrderState)> {
        let mut changed: Vec<_> = open
            .iter()
            .filter(|stored| *self.state_of(stored) != stored.order.state)
            .map(|stored| (stored.order.id, stored.version, self.state_of(stored).clone()))
            .collect();
        changed.sort_by_key(|(_, _, state)| !state.is_closed());
        changed
    }
}

/// Whether an endpoint can be believed about deals, by what it says of those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// It shows at least one of them.
    Confirmed,
    /// Nothing known could be asked for.
    Unproven,
    /// It denies what was seen finalized, or calls every known deal gone while their sectors live.
    Denies,
}

/// Reads every published deal and its sector.
async fn watch<W: World>(
    engine: &Engine<W>,
    round: &Round,
    watched: &[(&StoredOrder, OnChain)],
    changes: &mut Changes,
) -> Result<Trust, Error> {
    let chain = engine.world.chain();
    let mut gone_alive = false;
    let ids: Vec<_> = watched.iter().map(|(_, on_chain)| on_chain.deal).collect();
    let deals = chain.deals(round, &ids).await;
    let present = deals.iter().any(|seen| matches!(seen, DealSeen::Present(_)));
    let mut by_provider: BTreeMap<ProviderId, Vec<SectorNumber>> = BTreeMap::new();
    for ((stored, on_chain), seen) in watched.iter().zip(&deals) {
        let sector = match seen {
            DealSeen::Present(deal) => deal.activated.map(|_| deal.sector),
            _ => on_chain.sector,
        };
        if let Some(sector) = sector {
            by_provider.entry(stored.order.provider).or_default().push(sector);
        }
    }
    let mut providers: BTreeMap<ProviderId, ProviderSeen> = BTreeMap::new();
    for (provider, sectors) in &by_provider {
        providers.insert(*provider, chain.provider_seen(round, *provider, sectors).await);
    }
    for ((stored, on_chain), seen) in watched.iter().zip(deals) {
        if seen == DealSeen::NeverAllocated {
            return Ok(Trust::Denies);
        }
        let sector = match (&seen, on_chain.sector) {
            (DealSeen::Present(deal), _) => providers
                .get(&stored.order.provider)
                .map_or(SectorSeen::NotSeen(NotSeen::NotAsked), |view| view.sector(deal.sector)),
            // The second witness is asked singly: a provider whose faults are clear says nothing of the dead.
            (DealSeen::Gone, Some(sector)) => chain.sector(round, stored.order.provider, sector).await,
            (DealSeen::Gone, None) if round.height > on_chain.term.start => {
                never_seen_active(engine, present).await
            }
            _ => SectorSeen::NotSeen(NotSeen::NotAsked),
        };
        gone_alive |=
            seen == DealSeen::Gone && matches!(sector, SectorSeen::Live | SectorSeen::Faulty { .. });
        changes.step(stored, &Event::Observed { deal: seen, sector, round: round.clone() })?;
    }
    Ok(match (present, gone_alive) {
        (true, _) => Trust::Confirmed,
        (false, true) => Trust::Denies,
        (false, false) => Trust::Unproven,
    })
}

/// The second witness for a deal that was published, never seen active, and is gone after its start: it has no
/// sector to ask. That the endpoint shows other known deals says that it does not forget; so does a market that
/// holds no money of ours.
async fn never_seen_active<W: World>(engine: &Engine<W>, others_present: bool) -> SectorSeen {
    let no_money = || async {
        let balances = engine.world.chain().balances().await;
        balances.is_ok_and(|balances| balances.locked == AttoFil::ZERO)
    };
    if others_present || no_money().await { SectorSeen::Dead } else { SectorSeen::NotSeen(NotSeen::NotAsked) }
}

/// A provider that let an order lapse is passed over for a while.
async fn note_lapses<W: World>(
    engine: &Engine<W>,
    open: &[StoredOrder],
    changes: &Changes,
    round: &Round,
    _now: Now,
) -> Result<(), Error> {
    for stored in open {
        let why = match changes.state_of(stored) {
            OrderState::Expired => "took an order and never published it",
            OrderState::Lost { reason: raas_core::health::LossReason::NeverActivated, .. } => {
                "published an order and never activated it"
            }
            OrderState::Lost { .. } => "terminated the sector of an order",
            OrderState::Active(on_chain)
                if on_chain.health.health == Health::Proven && !stored.order.state.is_active() =>
            {
                engine.store.provider_succeeded(stored.order.provider).await?;
                continue;
            }
            _ => continue,
        };
        let until = Epoch(round.head.0).after(LAPSE_BACKS_OFF);
        engine.store.provider_failed(stored.order.provider, why, until).await?;
    }
    Ok(())
}

/// Whether a proposal whose place may have moved on is now on chain.
fn came_late(stored: &StoredOrder, state: &OrderState) -> bool {
    stored.order.state.is_watched() && matches!(state, OrderState::Published(_) | OrderState::Active(_))
}
