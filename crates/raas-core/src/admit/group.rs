//! Wants for one shared order become one, and all wants get their total order.

use crate::cid::{Commitment, DataCid};
use crate::ids::{ContractAddress, HoldingId, OperatorId, OrderId, ProviderId};
use crate::observation::Round;
use crate::order::{Cause, SlotRef};
use crate::plan::{CopyWanted, Priority, Reason, Want, Wanted};
use crate::units::Epoch;
use std::collections::BTreeMap;

/// One thing to decide: wants that are served by one action.
pub(super) struct Item<'a> {
    /// At least one; in their total order.
    pub(super) wants: Vec<&'a Want>,
    key: Key<'a>,
}

/// The total order of service. Derived ordering compares the fields as they stand.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    priority: Priority,
    due: Epoch,
    proven: u32,
    cid: &'a DataCid,
    slot: u32,
    holding: HoldingId,
    kind: u8,
    /// Whatever is left to tell two wants of one holding apart.
    last: (u64, u64),
    /// Requests of two contracts have the same ids.
    contract: Option<ContractAddress>,
}

impl<'a> Key<'a> {
    fn of(want: &'a Want, round: &Round) -> Self {
        const NO_SLOT: u32 = u32::MAX;
        let (kind, slot, last) = match &want.what {
            Wanted::Cancel { order } => (0, NO_SLOT, (order.0, 0)),
            Wanted::Fill { slot, spare } => (1, slot.index, (spare.0, 0)),
            Wanted::Copy(copy) => {
                let piece = copy.piece.0.first_chunk().map_or(0, |head| u64::from_be_bytes(*head));
                (2, copy.slot.index, (piece, 0))
            }
            Wanted::Attest { at, deal, .. } => (3, NO_SLOT, (at.request.0, deal.0)),
            Wanted::Evict { piece } => {
                (4, NO_SLOT, (piece.0.first_chunk().map_or(0, |head| u64::from_be_bytes(*head)), 0))
            }
        };
        Self {
            priority: want.priority,
            due: want.due_in(round),
            proven: want.proven,
            cid: &want.cid,
            slot,
            holding: want.holding,
            kind,
            last,
            contract: match &want.what {
                Wanted::Attest { at, .. } => Some(at.contract),
                _ => None,
            },
        }
    }
}

/// What makes two copies one purchase: the generation they follow, how, and the bytes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shared {
    of: OrderId,
    is_repair: bool,
    hedges: Option<OrderId>,
    piece: Commitment,
}

impl Shared {
    fn of(want: &Want) -> Option<Self> {
        let Wanted::Copy(copy) = &want.what else { return None };
        let (of, is_repair) = match copy.cause {
            Cause::Renew { of } | Cause::Hedge { of, .. } => (of, false),
            Cause::Repair { of } => (of, true),
            Cause::Replicate | Cause::Adopt => return None,
        };
        let hedges = match copy.cause {
            Cause::Hedge { silent, .. } => Some(silent),
            _ => None,
        };
        Some(Self { of, is_repair, hedges, piece: copy.piece })
    }

    /// The order that a copy follows, which others may follow with it.
    pub(super) fn order_of(want: &Want) -> Option<OrderId> {
        Self::of(want).map(|shared| shared.of)
    }
}

/// All items in the order of service.
pub(super) fn in_order<'a>(wants: impl IntoIterator<Item = &'a Want>, round: &Round) -> Vec<Item<'a>> {
    let mut wants: Vec<(Key<'a>, &Want)> =
        wants.into_iter().map(|want| (Key::of(want, round), want)).collect();
    wants.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut items: Vec<Item<'_>> = Vec::with_capacity(wants.len());
    let mut shared: BTreeMap<Shared, usize> = BTreeMap::new();
    for (key, want) in wants {
        let at = Shared::of(want).map(|of| *shared.entry(of).or_insert(items.len()));
        match at.and_then(|at| items.get_mut(at)) {
            Some(item) => item.join(key, want),
            None => items.push(Item { key, wants: vec![want] }),
        }
    }
    items.sort_by(|a, b| a.key.cmp(&b.key));
    items
}

impl<'a> Item<'a> {
    /// The most urgent of its members gives the item its place.
    fn join(&mut self, key: Key<'a>, want: &'a Want) {
        self.key.priority = self.key.priority.min(key.priority);
        self.key.due = self.key.due.min(key.due);
        self.key.proven = self.key.proven.min(key.proven);
        self.wants.push(want);
    }

    pub(super) const fn priority(&self) -> Priority {
        self.key.priority
    }
}

/// One purchase under the limits of all its slots.
#[derive(Clone)]
pub(super) struct Purchase {
    pub(super) slots: Vec<SlotRef>,
    pub(super) copy: CopyWanted,
}

impl Purchase {
    pub(super) fn new(copy: &CopyWanted) -> Self {
        Self { slots: vec![copy.slot], copy: copy.clone() }
    }

    /// This purchase with one more slot, the strictest of every limit.
    pub(super) fn with(mut self, other: &CopyWanted) -> Self {
        self.slots.push(other.slot);
        self.copy.duration = self.copy.duration.max(other.duration);
        self.copy.start_delay = self.copy.start_delay.min(other.start_delay);
        if self.copy.placement != other.placement {
            self.copy.placement = self.copy.placement.narrower(&other.placement);
        }
        self.copy.within = self.copy.within.or(other.within);
        add(&mut self.copy.operators_in_use, &other.operators_in_use);
        add(&mut self.copy.operators_watched, &other.operators_watched);
        self.copy.prefer = self.copy.prefer.filter(|prefer| other.prefer == Some(*prefer));
        self
    }
}

fn add(to: &mut Vec<OperatorId>, more: &[OperatorId]) {
    for operator in more {
        if !to.contains(operator) {
            to.push(*operator);
        }
    }
}

/// Operators chosen in this run, which the holdings do not know of yet.
#[derive(Default)]
pub(super) struct Chosen(BTreeMap<(HoldingId, Commitment), Vec<OperatorId>>);

impl Chosen {
    /// `copy` with the operators that this run already gave to other slots of its holding.
    pub(super) fn exclude(&self, copy: &mut CopyWanted) {
        if let Some(operators) = self.0.get(&(copy.slot.holding, copy.piece)) {
            add(&mut copy.operators_in_use, operators);
        }
    }

    pub(super) fn remember(&mut self, slots: &[SlotRef], piece: Commitment, operator: OperatorId) {
        for slot in slots {
            self.0.entry((slot.holding, piece)).or_default().push(operator);
        }
    }
}

/// The provider whose breaker a repair of a suspect asks.
pub(super) fn suspect_at(want: &Want) -> Option<ProviderId> {
    match (&want.what, &want.reason) {
        (Wanted::Copy(copy), Reason::Suspect { .. }) => copy.replaces,
        _ => None,
    }
}

/// Whether the want replaces a copy that is gone for good.
pub(super) fn replaces_lost(want: &Want) -> bool {
    match (&want.what, &want.reason) {
        (_, Reason::Lost { .. }) => true,
        (Wanted::Copy(copy), Reason::SlotEmpty) => matches!(copy.cause, Cause::Repair { .. }),
        _ => false,
    }
}
