//! An order: one purchase of one piece at one provider. Its life is `machine::order`.

use crate::cid::Commitment;
use crate::health::{HealthRecord, LossReason, Term};
use crate::ids::{DealId, HoldingId, OperatorId, OrderId, ProviderId, SectorNumber};
use crate::units::{AttoFil, Epoch, Epochs, PaddedSize};
use serde::{Deserialize, Serialize};

/// The life of an order. Data stands in the variant that has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum OrderState {
    /// Intended and budgeted; nothing has left the node.
    Planned,
    /// Proposal signed and stored. From here on it can cost money until its start epoch.
    Signed(Signed),
    /// Handed to the provider; its answer is not known.
    Delivered(Signed),
    /// The provider said yes.
    Accepted(Signed),
    /// The provider said no. It can still publish what it holds, so the escrow stays reserved and the chain
    /// is watched.
    RejectedWatched(Signed),
    /// The provider said yes and nothing came of it for so long that another order took its place. It can
    /// still be published, so it is watched like a rejected one.
    Hedged(Signed),
    /// Seen published in a finalized tipset.
    Published(OnChain),
    /// Seen active in a finalized tipset.
    Active(OnChain),
    /// The start epoch passed at finality and it was never published: it can cost nothing any more.
    Expired,
    /// Given up before anything was signed.
    Cancelled,
    /// The replica is gone for good.
    Lost {
        /// Where it was.
        on_chain: OnChain,
        /// Why.
        reason: LossReason,
    },
    /// The term is over.
    Ended(OnChain),
}

/// A signed proposal's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Counts from 1; with the order it determines the bytes.
    pub attempt: u32,
    /// CIDv1 dag-cbor blake2b-256 of the proposal; unique in the store.
    pub proposal_cid: String,
    /// The proposal's term.
    pub term: Term,
}

/// What a copy is on chain, at its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ReplicaRef {
    /// A deal of the market actor f05.
    Deal(DealId),
    /// A piece that was onboarded into this sector directly, without a deal.
    Sector {
        /// Which.
        sector: SectorNumber,
    },
}

impl ReplicaRef {
    /// The deal of f05, if it is one.
    #[must_use]
    pub const fn deal(self) -> Option<DealId> {
        match self {
            Self::Deal(deal) => Some(deal),
            Self::Sector { .. } => None,
        }
    }
}

impl std::fmt::Display for ReplicaRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deal(deal) => write!(f, "deal {deal}"),
            Self::Sector { sector } => write!(f, "a piece in sector {sector}"),
        }
    }
}

/// A copy that is or was on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnChain {
    /// What it is.
    #[serde(rename = "deal")]
    pub replica: ReplicaRef,
    /// Its term: of a deal, from the stored proposal; of a sector, from its activation to its expiration as last read.
    pub term: Term,
    /// Its sector, once active.
    pub sector: Option<SectorNumber>,
    /// Its memory from round to round.
    pub health: HealthRecord,
}

impl OrderState {
    /// Whether this order stands for a copy that is on its way: it keeps its slot from being ordered again.
    #[must_use]
    pub const fn occupies(&self) -> bool {
        matches!(
            self,
            Self::Planned | Self::Signed(_) | Self::Delivered(_) | Self::Accepted(_) | Self::Published(_)
        )
    }

    /// Whether there is an active replica behind it, whatever its health.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self, Self::Active(_))
    }

    /// Whether nothing can happen to it any more.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Expired | Self::Cancelled | Self::Lost { .. } | Self::Ended(_))
    }

    /// Whether its sector was proven once and is not any more: lost after that, or over.
    #[must_use]
    pub const fn was_active(&self) -> bool {
        matches!(self, Self::Lost { reason: LossReason::Terminated, .. } | Self::Ended(_))
    }

    /// The deal on chain, when there is or was one.
    #[must_use]
    pub const fn on_chain(&self) -> Option<&OnChain> {
        match self {
            Self::Published(on_chain)
            | Self::Active(on_chain)
            | Self::Ended(on_chain)
            | Self::Lost { on_chain, .. } => Some(on_chain),
            _ => None,
        }
    }

    /// The state's name as the API and the store spell it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Signed(_) => "signed",
            Self::Delivered(_) => "delivered",
            Self::Accepted(_) => "accepted",
            Self::RejectedWatched(_) => "rejected_watched",
            Self::Hedged(_) => "hedged",
            Self::Published(_) => "published",
            Self::Active(_) => "active",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Lost { .. } => "lost",
            Self::Ended(_) => "ended",
        }
    }
}

/// Why an order was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum Cause {
    /// An empty slot.
    Replicate,
    /// The term of `of` ends soon.
    Renew {
        /// The generation that is renewed.
        of: OrderId,
    },
    /// The term of `of`, a last copy, ends soon, and its renewal by `silent` is accepted and not published.
    Hedge {
        /// The generation that is renewed.
        of: OrderId,
        /// The order that is not waited for alone any more.
        silent: OrderId,
    },
    /// `of` is lost, or suspect for too long.
    Repair {
        /// The generation that is repaired.
        of: OrderId,
    },
    /// Not ordered by this node: found on the contract or on chain and verified.
    Adopt,
}

impl Cause {
    /// The generation whose term this order follows.
    #[must_use]
    pub const fn renews(&self) -> Option<OrderId> {
        match self {
            Self::Renew { of } | Self::Hedge { of, .. } => Some(*of),
            Self::Replicate | Self::Repair { .. } | Self::Adopt => None,
        }
    }

    /// The generation whose place this order takes.
    #[must_use]
    pub const fn succeeds(&self) -> Option<OrderId> {
        match self {
            Self::Renew { of } | Self::Hedge { of, .. } | Self::Repair { of } => Some(*of),
            Self::Replicate | Self::Adopt => None,
        }
    }
}

/// An aggregate in which a piece lies: what the deal is about where a contract wants a proof of inclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Within {
    /// The aggregate's commitment.
    pub aggregate: Commitment,
    /// Its padded size.
    pub size: PaddedSize,
}

/// One purchase with its place in the holding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The key of money.
    pub id: OrderId,
    /// What is bought.
    pub piece: Commitment,
    /// Its padded size.
    pub size: PaddedSize,
    /// The aggregate it is bought in; `None`: the piece is the deal.
    pub within: Option<Within>,
    /// Where.
    pub provider: ProviderId,
    /// Who runs that provider.
    pub operator: OperatorId,
    /// Why.
    pub cause: Cause,
    /// Price of the whole deal per epoch.
    pub price_per_epoch: AttoFil,
    /// The term's length.
    pub duration: Epochs,
    /// Head when it was planned.
    pub planned_at: Epoch,
    /// Where it stands.
    pub state: OrderState,
}

impl Order {
    /// The piece that the deal names, and its padded size.
    #[must_use]
    pub const fn deal_piece(&self) -> (Commitment, PaddedSize) {
        match self.within {
            Some(within) => (within.aggregate, within.size),
            None => (self.piece, self.size),
        }
    }

    /// What the client pays over the whole term.
    #[must_use]
    pub const fn cost(&self) -> AttoFil {
        self.price_per_epoch.times(self.duration.get() as u64)
    }
}

/// A numbered place of a holding. Many slots may share an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotRef {
    /// Whose place.
    pub holding: HoldingId,
    /// Its number, from 0.
    pub index: u32,
}
