//! A holding as the rules see it: policy, pieces, slots with their generations, spare copies.

use crate::cid::{Commitment, DataCid};
use crate::health::Health;
use crate::ids::{DealId, HoldingId, OperatorId, OwnerId, ProviderId, RequestAt, SectorNumber};
use crate::order::{Order, OrderState, ReplicaRef, Within};
use crate::policy::{Duties, Policy};
use crate::units::{Epoch, PaddedSize};
use serde::{Deserialize, Serialize};

/// A piece of a holding: bytes with a commitment this node computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The commitment.
    pub commitment: Commitment,
    /// Padded size.
    pub size: PaddedSize,
    /// Bytes of the CAR before padding.
    pub car_bytes: u64,
    /// Whether the bytes are on this node's disk, verified.
    pub local: bool,
    /// When a retrieval from a provider was last verified, if ever: a source besides the local copy.
    pub retrievable: bool,
    /// What new copies are bought in, where a request can be shown nothing but pieces in aggregates. `None` where none
    /// asks for it, and for a piece so large that no deal holds more than it.
    pub within: Option<Within>,
    /// The aggregate of several pieces that it was packed into: its copies are bought with theirs. `None` for one that is a
    /// deal of its own, or was not packed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<Within>,
}

/// One numbered place of one piece. Generations are in order of their making; the last is the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// From 0.
    pub index: u32,
    /// All orders ever made for this place that are not closed, the last closed one, the last that was lost or
    /// ended, and the last that was so after it had been active: a repair that came to nothing must still know
    /// whose place it takes, and a generation that it was renewed.
    pub generations: Vec<Order>,
}

/// A piece with its places. A holding of one piece has one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PieceSlots {
    /// The bytes.
    pub piece: Piece,
    /// `policy.replicas.target` places, or more when the target was lowered.
    pub slots: Vec<Slot>,
    /// Copies that fill no slot: adopted ones, late publications, copies on a used operator, and those orders for the
    /// aggregate that the piece is packed into which other holdings made.
    pub spares: Vec<Order>,
}

/// How a contract that is followed takes a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completes {
    /// With a piece that is a whole deal.
    Direct,
    /// Only with a proof that the piece is in an aggregate, as the reference contract does.
    InAggregate,
}

/// A contract request that wants to see the holding's deals attested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// The request.
    pub at: RequestAt,
    /// What its contract takes; `None` when this node follows that contract no more.
    pub completes: Option<Completes>,
    /// Deal ids already attested, or being so.
    pub done: Vec<DealId>,
    /// Pieces in sectors that its contract was told of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Told>,
}

/// A piece of the holding that its miner told a contract of: a deal of that contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its id there.
    pub deal: DealId,
    /// Where it is.
    pub provider: ProviderId,
    /// In which sector.
    pub sector: SectorNumber,
}

impl Attestation {
    /// Whether the contract was told of the copy behind `order`, which is no deal of the market.
    #[must_use]
    pub fn is_told(&self, order: &Order) -> bool {
        self.deal_of(order).is_some_and(DealId::is_of_sector)
    }

    /// What the contract knows the copy behind `order` as; `None` when it knows nothing of it.
    #[must_use]
    pub fn deal_of(&self, order: &Order) -> Option<DealId> {
        match order.state.on_chain()?.replica {
            ReplicaRef::Deal(deal) => Some(deal),
            ReplicaRef::Sector { sector } => {
                let is_it = |told: &&Told| (told.provider, told.sector) == (order.provider, sector);
                self.told.iter().find(is_it).map(|told| told.deal)
            }
        }
    }
}

/// A job that is open and for which nothing is done, with why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "unserved")]
pub enum Unserved {
    /// Its event is lost, and its contract stores no policies: the CID is known, what is wanted is not.
    PolicyUnknown {
        /// Its request.
        at: RequestAt,
    },
}

/// What one owner wants kept of one CID, with everything the rules need to decide about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// As the store numbers it.
    pub id: HoldingId,
    /// Whose.
    pub owner: OwnerId,
    /// What.
    pub cid: DataCid,
    /// Union over the open jobs that are served.
    pub duties: Duties,
    /// Strictest over the open jobs that are served; where none is, over all.
    pub policy: Policy,
    /// Empty until the bytes are known.
    pub pieces: Vec<PieceSlots>,
    /// Contract requests of the open jobs.
    pub attestations: Vec<Attestation>,
    /// Open jobs for which nothing is done.
    #[serde(default)]
    pub unserved: Vec<Unserved>,
    /// When the oldest of the open jobs was registered: since then a small piece has waited for company.
    #[serde(default)]
    pub since: Epoch,
    /// False when every job is stopped: nothing is ordered any more, what lives is watched.
    pub open: bool,
}

impl Slot {
    /// The order on its way, if any. There is never more than one.
    #[must_use]
    pub fn occupying(&self) -> Option<&Order> {
        self.generations.iter().rev().find(|order| order.state.occupies())
    }

    /// Active replicas, newest last.
    pub fn active(&self) -> impl DoubleEndedIterator<Item = &Order> {
        self.generations.iter().filter(|order| order.state.is_active())
    }

    /// The newest active replica: the one that is renewed and repaired.
    #[must_use]
    pub fn current(&self) -> Option<&Order> {
        self.active().next_back()
    }

    /// Empty: no replica, or the last one lost or ended, and no occupying order.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.occupying().is_none() && self.current().is_none()
    }

    /// Generations that stand for a copy: the occupying ones, and active ones that are neither suspect nor
    /// superseded by a later proven one. Never more than two by an order of ours: the old and its successor.
    #[must_use]
    pub fn live(&self) -> usize {
        let newest_proven = self
            .generations
            .iter()
            .rposition(|order| order.state.is_active() && health(order) == Some(Health::Proven));
        let superseded = |at: usize| newest_proven.is_some_and(|newest| at < newest);
        self.generations
            .iter()
            .enumerate()
            .filter(|(at, order)| {
                order.state.occupies()
                    || (order.state.is_active() && health(order) != Some(Health::Suspect) && !superseded(*at))
            })
            .count()
    }

    /// Whether any of its replicas is proven.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.active().any(|order| health(order) == Some(Health::Proven))
    }
}

/// The health of the replica behind `order`, if there is one.
#[must_use]
pub fn health(order: &Order) -> Option<Health> {
    match &order.state {
        OrderState::Active(on_chain) | OrderState::Published(on_chain) => Some(on_chain.health.health),
        _ => None,
    }
}

impl PieceSlots {
    /// Proven copies: slots with a proven replica, plus proven spares, each operator counted once. Two
    /// generations of one slot are one copy.
    #[must_use]
    pub fn proven(&self) -> u32 {
        let proven = |order: &&Order| order.state.is_active() && health(order) == Some(Health::Proven);
        let mut operators: Vec<OperatorId> = Vec::new();
        for slot in &self.slots {
            let newest = slot.generations.iter().rev().filter(proven);
            if let Some(order) = newest.into_iter().find(|order| !operators.contains(&order.operator)) {
                operators.push(order.operator);
            }
        }
        let taken: Vec<OperatorId> = self
            .slots
            .iter()
            .flat_map(|slot| slot.generations.iter().filter(proven))
            .map(|o| o.operator)
            .collect();
        for order in self.spares.iter().filter(proven) {
            if !operators.contains(&order.operator) && !taken.contains(&order.operator) {
                operators.push(order.operator);
            }
        }
        u32::try_from(operators.len()).unwrap_or(u32::MAX)
    }

    /// Slots that hold or await a copy.
    #[must_use]
    pub fn occupied(&self) -> u32 {
        u32::try_from(self.slots.iter().filter(|slot| !slot.is_empty()).count()).unwrap_or(u32::MAX)
    }

    /// Whether the health of any replica is unknown.
    #[must_use]
    pub fn any_unknown(&self) -> bool {
        self.orders().any(|order| matches!(health(order), Some(Health::Unknown(_))))
    }

    /// All orders of the piece in this holding.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.slots.iter().flat_map(|slot| &slot.generations).chain(&self.spares)
    }

    /// Operators that hold or are to hold a copy for some slot: the next copy goes elsewhere.
    #[must_use]
    pub fn operators_in_use(&self) -> Vec<OperatorId> {
        let mut used: Vec<OperatorId> = self
            .orders()
            .filter(|order| order.state.occupies() || order.state.is_active())
            .map(|order| order.operator)
            .collect();
        used.sort_unstable();
        used.dedup();
        used
    }
}
