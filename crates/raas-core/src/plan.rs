//! A plan as data: what is wanted, what is done, what it waits for, and when it wakes.
//!
//! The dashboard, `raas plan` and `raas why` print exactly these.

use crate::admit::admit;
use crate::cid::{Commitment, DataCid};
use crate::fleet::{Fleet, Rules};
use crate::gate::Hold;
use crate::health::LossReason;
use crate::holding::Holding;
use crate::ids::{DealId, HoldingId, OperatorId, OrderId, ProviderId, RequestAt};
use crate::observation::{NotSeen, Round};
use crate::order::{Cause, SlotRef, Within};
use crate::units::{AttoFil, Epoch, Epochs, PaddedSize};
use crate::want::want;
use serde::{Deserialize, Serialize};

/// Urgency. The order of the variants is the order of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// At most one proven copy left of a holding that had more, or none at all after having had some.
    LastCopy,
    /// Fewer proven copies than the policy's minimum.
    BelowMin,
    /// Anything else: first copies, renewals in good time, repairs above the minimum.
    Normal,
}

/// Why something is wanted, with the figures that decided it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Reason {
    /// The slot has no copy and none on its way.
    SlotEmpty,
    /// Lost by two witnesses, or never activated.
    Lost {
        /// The generation.
        of: OrderId,
        /// How.
        reason: LossReason,
    },
    /// Faulty since `since`, for `repair_after` or longer, seen in more than one finalized round.
    Suspect {
        /// The generation.
        of: OrderId,
        /// F.
        since: Epoch,
        /// The policy's patience.
        repair_after: Epochs,
    },
    /// The term ends within the renewal window.
    TermEnds {
        /// The generation.
        of: OrderId,
        /// Its end.
        end: Epoch,
        /// The window: max(renew_before, p95 lead + 2 x (start delay + finality lag)).
        window: Epochs,
    },
    /// A last copy's renewal was accepted but not published for 12 h.
    Hedge {
        /// The generation being renewed.
        of: OrderId,
        /// The silent order.
        silent: OrderId,
    },
    /// What an unsigned repair was to replace is proven again.
    Recovered {
        /// The generation.
        of: OrderId,
        /// The finalized round that saw it proven.
        proven_at: Epoch,
    },
    /// A verified copy that fills no slot can fill this one.
    SpareFits {
        /// The spare.
        spare: OrderId,
    },
    /// A contract request does not show this proven deal yet.
    NotAttested {
        /// The request.
        at: RequestAt,
    },
    /// Enough copies are proven and the policy does not keep the local one.
    CopiesProven {
        /// How many are.
        proven: u32,
        /// How many the policy asks for.
        needed: u32,
    },
}

/// Something a holding should have, before money, capacity and storms are looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Whose.
    pub holding: HoldingId,
    /// Its CID, the tie-breaker of the total order.
    pub cid: DataCid,
    /// What kind.
    pub what: Wanted,
    /// Why.
    pub reason: Reason,
    /// How urgent.
    pub priority: Priority,
    /// The epoch by which it is due: the start of the renewal window, F + repair_after, or the round.
    pub due: Epoch,
    /// Proven copies of the holding, for the order among equals: fewest first.
    pub proven: u32,
    /// Which of its pieces, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Commitment>,
}

impl Want {
    /// When it is due in `round`, if nothing touched its holding since: what is wanted at once is due now, however long it
    /// has waited.
    #[must_use]
    pub const fn due_in(&self, round: &Round) -> Epoch {
        match self.reason {
            Reason::Suspect { .. } | Reason::TermEnds { .. } | Reason::Hedge { .. } => self.due,
            _ => round.height,
        }
    }
}

/// The kinds of want.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "want")]
pub enum Wanted {
    /// A new copy for `slot`.
    Copy(Box<CopyWanted>),
    /// Put a verified spare into an empty slot: no money moves.
    Fill {
        /// The place.
        slot: SlotRef,
        /// The order to put there.
        spare: OrderId,
    },
    /// Say on the contract that `deal` holds the request's piece.
    Attest {
        /// The request.
        at: RequestAt,
        /// The order behind the deal.
        order: OrderId,
        /// The deal.
        deal: DealId,
    },
    /// Delete the local copy of a piece.
    Evict {
        /// The piece.
        piece: Commitment,
    },
    /// Give up an order of which nothing has left the node.
    Cancel {
        /// The order, `Planned`.
        order: OrderId,
    },
}

/// A new copy and the limits of where it may go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyWanted {
    /// The place.
    pub slot: SlotRef,
    /// Which of the R's.
    pub cause: Cause,
    /// The piece to buy.
    pub piece: Commitment,
    /// Its padded size.
    pub size: PaddedSize,
    /// The aggregate to buy it in; `None`: the piece is the deal.
    pub within: Option<Within>,
    /// Term of the new deal.
    pub duration: Epochs,
    /// From signing to start.
    pub start_delay: Epochs,
    /// Providers and price the policy allows.
    pub placement: crate::policy::Placement,
    /// Operators that hold a slot of this holding already.
    pub operators_in_use: Vec<OperatorId>,
    /// Operators with a rejected proposal that can still be published: taken only when nobody else is left.
    pub operators_watched: Vec<OperatorId>,
    /// Renewal: the provider of the old copy, taken first while it is healthy and its ask fits.
    pub prefer: Option<ProviderId>,
    /// Repair: the provider of the failed copy, whose breaker decides whether this one may start.
    pub replaces: Option<ProviderId>,
}

/// What happens now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// Make one order.
    Order {
        /// Every place it fills.
        slots: Vec<SlotRef>,
        /// Which of the R's.
        cause: Cause,
        /// The piece.
        piece: Commitment,
        /// Its padded size.
        size: PaddedSize,
        /// The aggregate it is bought in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within: Option<Within>,
        /// Where.
        provider: ProviderId,
        /// Who runs it.
        operator: OperatorId,
        /// Price of the whole deal per epoch, at the provider's ask.
        price_per_epoch: AttoFil,
        /// Term.
        duration: Epochs,
        /// From signing to start.
        start_delay: Epochs,
        /// Why.
        reason: Reason,
        /// How urgent.
        priority: Priority,
    },
    /// Put a spare into a slot.
    Fill {
        /// The place.
        slot: SlotRef,
        /// The order.
        spare: OrderId,
    },
    /// Say so on the contract.
    Attest {
        /// Whose.
        holding: HoldingId,
        /// The request.
        at: RequestAt,
        /// The order behind the deal.
        order: OrderId,
        /// The deal.
        deal: DealId,
    },
    /// Delete the local copy.
    Evict {
        /// Whose.
        holding: HoldingId,
        /// The piece.
        piece: Commitment,
        /// Why.
        reason: Reason,
    },
    /// Give up an unsigned order.
    Cancel {
        /// Whose.
        holding: HoldingId,
        /// The order.
        order: OrderId,
    },
}

/// Something that is not done now, why, and what wakes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Whose; `None` when it holds the whole node.
    pub holding: Option<HoldingId>,
    /// Which place, when it concerns one.
    pub slot: Option<SlotRef>,
    /// Which piece, where the holding may have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Commitment>,
    /// Why not now.
    pub for_: WaitFor,
    /// When it is looked at again.
    pub wake: Wake,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "waiting_for")]
pub enum WaitFor {
    /// The gate is closed: the node observes only.
    Gate(crate::gate::Hold),
    /// The bytes have not arrived or no piece is computed yet.
    Bytes,
    /// A replica's health is unknown.
    Unknown {
        /// Which order.
        order: OrderId,
        /// Why.
        reason: crate::health::UnknownReason,
    },
    /// An order is on its way.
    OrderUnderWay {
        /// Which.
        order: OrderId,
        /// At whom.
        provider: ProviderId,
    },
    /// A suspect replica's patience is not over.
    Patience {
        /// Which order.
        order: OrderId,
        /// F.
        since: Epoch,
        /// F + repair_after.
        until: Epoch,
    },
    /// The renewal window is not open yet.
    RenewalWindow {
        /// Which order.
        order: OrderId,
        /// Its end.
        end: Epoch,
        /// When the window opens.
        opens: Epoch,
    },
    /// Money: what is needed and what is there.
    Budget {
        /// Price of the whole term plus margin.
        needed: AttoFil,
        /// What is left of it.
        available: AttoFil,
        /// What binds.
        #[serde(default)]
        limit: crate::spend::Limit,
    },
    /// No provider fits; each with the reason why not.
    Provider {
        /// Why each known provider was passed over.
        rejected: Vec<(ProviderId, crate::select::Unfit)>,
    },
    /// The storm breaker is open.
    Breaker {
        /// The provider whose suspects wait; `None` for the fleet.
        provider: Option<ProviderId>,
    },
    /// Repairs are paced.
    Pace {
        /// Started in this window.
        started: u32,
        /// Most in one window.
        cap: u32,
    },
    /// The band's maximum is reached.
    MaxReplicas {
        /// Occupied slots.
        occupied: u32,
        /// The policy's maximum.
        max: u32,
    },
    /// The job asks not for this R.
    NotAsked,
    /// A job is not served, and why.
    Unserved(crate::holding::Unserved),
    /// A request cannot be shown this proven deal: its contract wants a proof of inclusion in an aggregate, and the
    /// piece is a whole deal. Its successor will be in one.
    CompletesInAggregate {
        /// The request.
        at: RequestAt,
    },
    /// A request cannot be shown this proven deal: its contract is not in the configuration any more.
    ContractNotFollowed {
        /// The request.
        at: RequestAt,
    },
    /// A request is not shown all proven deals of the part that its contract knows: another part has fewer copies.
    InParts {
        /// The request.
        at: RequestAt,
        /// Copies of all parts, which are as many as are shown.
        whole: u32,
    },
    /// Every job of the holding is stopped: what lives is watched, nothing is ordered.
    Stopped,
    /// The local copy stays until enough copies are proven and one of them was read back.
    LocalCopy {
        /// Proven now.
        proven: u32,
        /// Needed before the local copy may go.
        needed: u32,
        /// Whether bytes were read back from a provider and verified.
        retrievable: bool,
    },
    /// The policy has ended; the last deal may outlive it.
    PolicyEnded {
        /// When.
        ends_at: Epoch,
    },
    /// A provider's view could not be read.
    NotSeen {
        /// Whose.
        provider: ProviderId,
        /// Why.
        reason: NotSeen,
    },
}

/// What wakes a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "wake", content = "at")]
pub enum Wake {
    /// The head reaches this epoch.
    At(Epoch),
    /// The next round.
    OnRound,
    /// Something changes at a provider: capacity, price, a new one.
    OnProvider,
    /// Money arrives or a reservation is released.
    OnBudget,
    /// The admin, or time, releases the breaker.
    OnRelease,
    /// Bytes arrive.
    OnBytes,
}

/// What to do and what to wait for, in one order of service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// In order of service.
    pub actions: Vec<Action>,
    /// Everything that is not done now.
    pub waits: Vec<Wait>,
}

impl CopyWanted {
    /// Padded size of the deal.
    #[must_use]
    pub fn deal_size(&self) -> PaddedSize {
        self.within.map_or(self.size, |within| within.size)
    }
}

impl Plan {
    /// The earliest epoch any wait wakes at.
    #[must_use]
    pub fn next_wake(&self) -> Option<Epoch> {
        self.waits
            .iter()
            .filter_map(|wait| match wait.wake {
                Wake::At(epoch) => Some(epoch),
                _ => None,
            })
            .min()
    }
}

/// The whole decision: what each holding wants, and what of it starts now. With a `hold` nothing starts.
///
/// The same arguments give the same plan, in whatever order the holdings come.
#[must_use]
pub fn plan(holdings: &[Holding], fleet: &Fleet, round: &Round, rules: &Rules, hold: Option<Hold>) -> Plan {
    if let Some(hold) = hold {
        let wait =
            Wait { holding: None, slot: None, part: None, for_: WaitFor::Gate(hold), wake: Wake::OnRound };
        return Plan { actions: Vec::new(), waits: vec![wait] };
    }
    let mut wants = Vec::new();
    let mut waits = Vec::new();
    for holding in holdings {
        let (its_wants, its_waits) = want(holding, round, rules);
        wants.extend(its_wants);
        waits.extend(its_waits);
    }
    let admitted = admit(&wants, &mut fleet.clone(), round);
    waits.extend(admitted.waits);
    waits.sort_by_key(|wait| (wait.holding, wait.slot));
    Plan { actions: admitted.actions, waits }
}
