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
use raas_core::order::{OnChain, OrderState};
use raas_core::ports::{Chain, Now};
use raas_core::units::{Epoch, Epochs};
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
    let Ok(pin) = engine.world.chain().pin().await else {
        return Ok(Seen {
            round: last.map(|(round, _)| round),
            hold: Some(Hold::NoEndpoint),
            changed: false,
        });
    };
    let went_back = last.as_ref().is_some_and(|(before, _)| {
        pin.round.height < before.height
            || (pin.round.height == before.height && pin.round.tipset != before.tipset)
    });
    let hold = gate::judge(pin.round.head, now.epoch, pin.round.agreed, pin.wanted)
        .or_else(|| went_back.then_some(Hold::Contradiction));
    if hold.is_some() {
        return Ok(Seen { round: Some(pin.round), hold, changed: false });
    }
    let same_round = last.as_ref().is_some_and(|(before, _)| before.height == pin.round.height);
    if same_round && engine.status().hold.is_none() && engine.status().round.is_some() {
        // Everything at this tipset was read; only adoption can bring something new.
        let adopted = adopt::adopt(engine, &pin.round).await?;
        return Ok(Seen { round: Some(pin.round), hold: None, changed: adopted });
    }
    read(engine, pin.round, now).await
}

async fn read<W: World>(engine: &Engine<W>, round: Round, now: Now) -> Result<Seen, Error> {
    let open = engine.store.open_orders().await?;
    let found = published::find(engine, &round, &open).await?;
    let mut changes = Changes::default();
    for (stored, event) in found.events {
        changes.step(stored, &event)?;
    }
    let watched: Vec<(&StoredOrder, OnChain)> = open
        .iter()
        .filter_map(|stored| changes.state_of(stored).on_chain().map(|on_chain| (stored, *on_chain)))
        .collect();
    let contradiction = watch(engine, &round, &watched, &mut changes).await?;
    if contradiction {
        return Ok(Seen { round: Some(round), hold: Some(Hold::Contradiction), changed: false });
    }
    note_lapses(engine, &open, &changes, &round, now).await?;
    let after: Vec<(&StoredOrder, &OrderState)> =
        open.iter().map(|stored| (stored, changes.state_of(stored))).collect();
    let breaker = raas_core::breaker::next(
        &engine.store.breaker().await?,
        &census::count(&after),
        round.height,
    );
    let report = RoundReport {
        round: round.clone(),
        hold: None,
        to_spares: crowded(&after),
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

    fn changed(&self, open: &[StoredOrder]) -> Vec<(OrderId, i64, OrderState)> {
        open.iter()
            .filter(|stored| *self.state_of(stored) != stored.order.state)
            .map(|stored| (stored.order.id, stored.version, self.state_of(stored).clone()))
            .collect()
    }
}

/// Reads every published deal and its sector. True when the endpoint denies a deal that was seen finalized.
async fn watch<W: World>(
    engine: &Engine<W>,
    round: &Round,
    watched: &[(&StoredOrder, OnChain)],
    changes: &mut Changes,
) -> Result<bool, Error> {
    let chain = engine.world.chain();
    let ids: Vec<_> = watched.iter().map(|(_, on_chain)| on_chain.deal).collect();
    let deals = chain.deals(round, &ids).await;
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
            return Ok(true);
        }
        let sector = match (&seen, on_chain.sector) {
            (DealSeen::Present(deal), _) => providers
                .get(&stored.order.provider)
                .map_or(SectorSeen::NotSeen(NotSeen::NotAsked), |view| view.sector(deal.sector)),
            // The second witness is asked singly: a provider whose faults are clear says nothing of the dead.
            (DealSeen::Gone, Some(sector)) => chain.sector(round, stored.order.provider, sector).await,
            _ => SectorSeen::NotSeen(NotSeen::NotAsked),
        };
        changes.step(stored, &Event::Observed { deal: seen, sector, round: round.clone() })?;
    }
    Ok(false)
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

/// Late publications whose slot has moved on: they stay as spares.
fn crowded(after: &[(&StoredOrder, &OrderState)]) -> Vec<OrderId> {
    after
        .iter()
        .filter(|(stored, state)| {
            matches!(stored.order.state, OrderState::RejectedWatched(_))
                && matches!(state, OrderState::Published(_) | OrderState::Active(_))
                && stored.slots.iter().any(|slot| {
                    after.iter().any(|(other, state)| {
                        other.order.id != stored.order.id
                            && other.slots.contains(slot)
                            && (state.occupies() || state.is_active())
                    })
                })
        })
        .map(|(stored, _)| stored.order.id)
        .collect()
}
