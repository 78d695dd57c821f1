//! Health of one replica, and how a round changes it (rules 1, 4 and 5 of the decision rules).

use crate::activation;
use crate::observation::{DealSeen, NotSeen, OnChainDeal, ProviderView, Round, SectorSeen, TermSeen};
use crate::units::{Epoch, Epochs};
use serde::{Deserialize, Serialize};

/// Why a replica is lost for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossReason {
    /// Exit 32 and a dead sector at one finalized tipset, before the end of the term.
    Terminated,
    /// The start epoch passed at finality without activation.
    NeverActivated,
}

impl std::fmt::Display for LossReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Terminated => "terminated",
            Self::NeverActivated => "never activated",
        })
    }
}

/// Why nothing can be said about a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// The deal or its sector could not be read.
    NotSeen(NotSeen),
    /// The market says gone, but the sector is not seen dead: one witness is not enough.
    OneWitness,
    /// The sector that holds the piece without a deal is seen dead for the first time: a later round must see it, too.
    DeadOnce,
    /// The market never allocated an id that was seen finalized: the endpoint is lying or on another chain.
    NeverAllocated,
}

impl std::fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSeen(why) => why.fmt(f),
            Self::OneWitness => f.write_str("the market says gone, but its sector is not seen dead"),
            Self::DeadOnce => f.write_str("its sector is seen dead; the next round must see it, too"),
            Self::NeverAllocated => f.write_str("the market denies a deal that was seen finalized"),
        }
    }
}

/// What is known of a replica after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Published, not active yet.
    Pending,
    /// Active, live, not faulty, within its term.
    Proven,
    /// Its sector is faulty.
    Suspect,
    /// Gone for good.
    Lost(LossReason),
    /// Its term is over.
    Ended,
    /// Nothing can be said.
    Unknown(UnknownReason),
}

/// A fault under watch. It outlives rounds that could not look, and ends with a round that saw it gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fault {
    /// F: since when the chain says the sector is faulty, else when it was first seen so.
    pub since: Epoch,
    /// Height of the first round at or after F that saw it.
    pub first_round: Epoch,
    /// Height of the last round that saw it.
    pub last_round: Epoch,
}

/// The memory of one replica from round to round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRecord {
    /// What the last round said.
    pub health: Health,
    /// The fault under watch, if any.
    pub fault: Option<Fault>,
    /// Height of the last round that saw it proven.
    pub proven_at: Option<Epoch>,
    /// Height of the round that set `health`.
    pub at: Epoch,
}

/// A replica's fixed facts, kept since the chain cannot give them back once the deal is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Activation must not be later than this.
    pub start: Epoch,
    /// First epoch after the term.
    pub end: Epoch,
}

impl HealthRecord {
    /// A replica just seen published.
    #[must_use]
    pub const fn pending(at: Epoch) -> Self {
        Self { health: Health::Pending, fault: None, proven_at: None, at }
    }

    /// Whether rule 4 allows a repair: faulty for `repair_after` at a finalized round that is not the only
    /// one since the fault began.
    #[must_use]
    pub fn repair_due(&self, repair_after: Epochs) -> bool {
        match (self.health, self.fault) {
            (Health::Suspect, Some(fault)) => {
                fault.last_round == self.at
                    && self.at >= fault.since.after(repair_after)
                    && fault.first_round < self.at
            }
            _ => false,
        }
    }

    /// The record after a round that saw `deal` and `sector`.
    #[must_use]
    pub fn next(self, term: Term, deal: &DealSeen, sector: SectorSeen, round: &Round) -> Self {
        // An older round says nothing new, and a closed replica nothing at all.
        if matches!(self.health, Health::Lost(_) | Health::Ended) || round.height < self.at {
            return self;
        }
        let health = match judge(term, deal, sector, round.height) {
            // A deal that was seen active cannot be inactive again: the endpoint contradicts itself.
            Health::Pending | Health::Lost(LossReason::NeverActivated) if self.was_active() => {
                Health::Unknown(UnknownReason::NotSeen(NotSeen::Contradiction))
            }
            health => health,
        };
        self.turned(health, sector, round.height)
    }

    /// The record after a round at `height` that saw the sector of an active replica and did not ask for its deal: an
    /// activated deal leaves the state before its end only with its sector.
    #[must_use]
    pub fn with_sector(self, term: Term, sector: SectorSeen, height: Epoch) -> Self {
        // What comes at the end of the term is for the market to say.
        if matches!(self.health, Health::Lost(_) | Health::Ended) || height < self.at || height >= term.end {
            return self;
        }
        let health = match sector {
            SectorSeen::Live => Health::Proven,
            SectorSeen::Faulty { .. } => Health::Suspect,
            SectorSeen::Dead => Health::Unknown(UnknownReason::OneWitness),
            SectorSeen::NotSeen(reason) => Health::Unknown(UnknownReason::NotSeen(reason)),
        };
        self.turned(health, sector, height)
    }

    /// The record after a round at `height` that saw the sector of a copy without a deal, and its entry in the miner's
    /// table. Nothing but the miner tells of such a copy, so that its second witness is a later tipset.
    #[must_use]
    pub fn in_sector(self, term: Term, listed: &TermSeen, sector: SectorSeen, height: Epoch) -> Self {
        if matches!(self.health, Health::Lost(_) | Health::Ended) || height < self.at {
            return self;
        }
        let was_dead = self.health == Health::Unknown(UnknownReason::DeadOnce) && self.at < height;
        let health = match (listed, sector) {
            (TermSeen::NotSeen(reason), _) => Health::Unknown(UnknownReason::NotSeen(*reason)),
            (TermSeen::Listed(_) | TermSeen::Gone, _) if height >= term.end => Health::Ended,
            (_, SectorSeen::Dead) if was_dead => Health::Lost(LossReason::Terminated),
            (_, SectorSeen::Dead) => Health::Unknown(UnknownReason::DeadOnce),
            (_, SectorSeen::NotSeen(reason)) => Health::Unknown(UnknownReason::NotSeen(reason)),
            // It lives and is not there.
            (TermSeen::Gone, _) => Health::Unknown(UnknownReason::NotSeen(NotSeen::Contradiction)),
            (TermSeen::Listed(_), SectorSeen::Live) => Health::Proven,
            (TermSeen::Listed(_), SectorSeen::Faulty { .. }) => Health::Suspect,
        };
        self.turned(health, sector, height)
    }

    fn turned(self, health: Health, sector: SectorSeen, height: Epoch) -> Self {
        let fault = match (health, sector) {
            (Health::Suspect, SectorSeen::Faulty { since }) => Some(self.seen_faulty(since, height)),
            (Health::Proven, _) => None,
            _ => self.fault,
        };
        let proven_at = if health == Health::Proven { Some(height) } else { self.proven_at };
        Self { health, fault, proven_at, at: height }
    }

    /// This record at `height`, given the last looks at its provider: nothing is stored for a replica that those
    /// looks found unchanged. Only proven and suspect replicas are seen through their provider.
    #[must_use]
    pub fn as_of(self, view: &ProviderView, height: Epoch) -> Self {
        if !matches!(self.health, Health::Proven | Health::Suspect) {
            return self;
        }
        if let Some(reason) = view.doubt(self.at, height) {
            let health = Health::Unknown(UnknownReason::NotSeen(reason));
            return Self { health, at: self.at.max(height), ..self };
        }
        // A look at the record's own height says what the record says.
        let Some(read) = view.faults_at.filter(|read| *read >= self.at) else { return self };
        match self.health {
            Health::Proven => Self { at: read, proven_at: Some(read), ..self },
            _ => {
                let fault = self.fault.map(|fault| fault.seen_again(fault.since, read));
                Self { at: read, fault, ..self }
            }
        }
    }

    /// Whether `other` says the same, whenever it was seen.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        let fault = |record: &Self| record.fault.map(|fault| (fault.since, fault.first_round));
        self.health == other.health
            && fault(self) == fault(other)
            && self.proven_at.is_some() == other.proven_at.is_some()
    }

    /// Whether a round has seen its deal active.
    #[must_use]
    pub const fn was_active(&self) -> bool {
        self.proven_at.is_some() || self.fault.is_some()
    }

    fn seen_faulty(&self, since: Option<Epoch>, height: Epoch) -> Fault {
        match self.fault {
            // The chain's own start wins over a first sighting.
            Some(fault) => fault.seen_again(since.unwrap_or(fault.since), height),
            None => Fault { since: since.unwrap_or(height), first_round: height, last_round: height },
        }
    }
}

impl Fault {
    /// This fault seen once more at `height`, with its start now told as `since`. A start later than the
    /// last sighting is a new fault: the sector recovered in between. Only sightings from `since` on count
    /// as earlier rounds.
    fn seen_again(self, since: Epoch, height: Epoch) -> Self {
        let first_round = if since > self.last_round {
            height
        } else if since > self.first_round {
            self.last_round
        } else {
            self.first_round
        };
        Self { since, first_round, last_round: height }
    }
}

/// Rule 1 for one replica: what was not seen is unknown, and a loss needs two witnesses.
fn judge(term: Term, deal: &DealSeen, sector: SectorSeen, height: Epoch) -> Health {
    match deal {
        DealSeen::Present(deal) => judge_present(term, deal, sector, height),
        // A normal end removes the deal too, and needs no second witness.
        DealSeen::Gone if height >= term.end => Health::Ended,
        DealSeen::Gone => match sector {
            SectorSeen::Dead => Health::Lost(LossReason::Terminated),
            _ => Health::Unknown(UnknownReason::OneWitness),
        },
        DealSeen::NeverAllocated => Health::Unknown(UnknownReason::NeverAllocated),
        DealSeen::NotSeen(reason) => Health::Unknown(UnknownReason::NotSeen(*reason)),
    }
}

fn judge_present(term: Term, deal: &OnChainDeal, sector: SectorSeen, height: Epoch) -> Health {
    if height >= term.end {
        return Health::Ended;
    }
    if deal.activated.is_none() {
        return activation::inactive(term, height);
    }
    match sector {
        SectorSeen::Live => Health::Proven,
        SectorSeen::Faulty { .. } => Health::Suspect,
        // The market removes a deal in the message that kills its sector; both at one tipset is a lie.
        SectorSeen::Dead => Health::Unknown(UnknownReason::NotSeen(NotSeen::Contradiction)),
        SectorSeen::NotSeen(reason) => Health::Unknown(UnknownReason::NotSeen(reason)),
    }
}
