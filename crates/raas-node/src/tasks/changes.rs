//! What a round changes: orders as they were read, their new states, and what of that is worth writing.

use crate::engine::Error;
use crate::store::{ReplicaChange, StoredOrder};
use raas_core::ids::OrderId;
use raas_core::machine::order::{self, Event};
use raas_core::order::{OrderState, SlotRef};
use std::collections::BTreeMap;

/// New states by order, so that several events of one round build on each other.
#[derive(Default)]
pub(crate) struct Changes {
    loaded: BTreeMap<OrderId, StoredOrder>,
    states: BTreeMap<OrderId, OrderState>,
}

impl Changes {
    /// Makes orders known.
    pub(crate) fn add(&mut self, orders: Vec<StoredOrder>) {
        for stored in orders {
            self.loaded.entry(stored.order.id).or_insert(stored);
        }
    }

    /// Whether an order is known.
    pub(crate) fn has(&self, order: OrderId) -> bool {
        self.loaded.contains_key(&order)
    }

    /// An order as it was read.
    pub(crate) fn stored(&self, order: OrderId) -> Option<&StoredOrder> {
        self.loaded.get(&order)
    }

    /// The state after what this round did so far.
    pub(crate) fn state_of<'a>(&'a self, stored: &'a StoredOrder) -> &'a OrderState {
        self.states.get(&stored.order.id).unwrap_or(&stored.order.state)
    }

    /// Lets `event` happen to an order that is known.
    pub(crate) fn step(&mut self, id: OrderId, event: &Event) -> Result<(), Error> {
        let Some(stored) = self.loaded.get(&id) else { return Ok(()) };
        let (state, _) =
            order::next(self.state_of(stored), event).map_err(|source| Error::Order { order: id, source })?;
        self.states.insert(id, state);
        Ok(())
    }

    /// A rejected or hedged proposal that was published all the same takes its slot back, if what was ordered in its
    /// stead has not been signed yet.
    pub(crate) fn cancel_unsigned_beside_late(&mut self) -> Result<(), Error> {
        let late: Vec<SlotRef> = self.late().flat_map(|stored| stored.slots.iter().copied()).collect();
        let beside: Vec<OrderId> = self
            .loaded
            .values()
            .filter(|stored| matches!(self.state_of(stored), OrderState::Planned))
            .filter(|stored| !stored.slots.is_empty() && stored.slots.iter().all(|slot| late.contains(slot)))
            .map(|stored| stored.order.id)
            .collect();
        beside.into_iter().try_for_each(|id| self.step(id, &Event::Cancel))
    }

    /// Proposals whose place may have moved on and that are on chain now.
    fn late(&self) -> impl Iterator<Item = &StoredOrder> {
        self.loaded.values().filter(|stored| {
            stored.order.state.is_watched()
                && matches!(self.state_of(stored), OrderState::Published(_) | OrderState::Active(_))
        })
    }

    /// Orders whose state says something else than it did, each with the new one.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (&StoredOrder, &OrderState)> {
        self.loaded
            .values()
            .map(|stored| (stored, self.state_of(stored)))
            .filter(|(stored, state)| differs(&stored.order.state, state))
    }

    /// What is to be written: whole states, those that free their place first, and what became of active replicas.
    pub(crate) fn to_write(&self) -> (Vec<(OrderId, i64, OrderState)>, Vec<ReplicaChange>) {
        let (mut orders, mut replicas) = (Vec::new(), Vec::new());
        for (stored, state) in self.changed() {
            match (&stored.order.state, state) {
                (
                    OrderState::Active(before),
                    OrderState::Active(now) | OrderState::Ended(now) | OrderState::Lost { on_chain: now, .. },
                ) if before.replica == now.replica => {
                    replicas.push(ReplicaChange {
                        order: stored.order.id,
                        version: stored.version,
                        holding: stored.holding,
                        provider: stored.order.provider,
                        from: before.health.health,
                        to: state.clone(),
                    });
                }
                _ => orders.push((stored.order.id, stored.version, state.clone())),
            }
        }
        orders.sort_by_key(|(_, _, state)| !state.is_closed());
        (orders, replicas)
    }
}

/// Whether two states of one order say different things; when they were seen does not count.
fn differs(before: &OrderState, after: &OrderState) -> bool {
    match (before, after) {
        (OrderState::Active(before), OrderState::Active(after))
        | (OrderState::Published(before), OrderState::Published(after)) => {
            before.replica != after.replica
                || before.sector != after.sector
                || before.term != after.term
                || !before.health.says_as(&after.health)
        }
        _ => before != after,
    }
}
