//! What one round saw: the pinned tipset, who agreed, and for every provider and watched deal what was read.
//!
//! *Seen*, *seen absent* and *failed to look* are three different values everywhere. Only what was seen
//! counts; failing to look is [`NotSeen`], it becomes `Unknown`, and Unknown starts nothing.

use crate::cid::Commitment;
use crate::health::Term;
use crate::ids::{ActorId, OperatorId, ProviderId, SectorNumber};
use crate::units::{AttoFil, Epoch, PaddedSize};
use serde::{Deserialize, Serialize};

/// The tipset all reads of a round are pinned to, and who vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// The finalized tipset's key, as the CIDs of its blocks in base32, joined with commas.
    pub tipset: String,
    /// Its height T. Losses and faults are judged here.
    pub height: Epoch,
    /// Height of the block of parent(T): `eth_*` reads there see the state that native reads at T see.
    pub eth_block: Epoch,
    /// The head. Renewal urgency and start epochs are counted from here.
    pub head: Epoch,
    /// Endpoints that named this tipset.
    pub agreed: u32,
    /// Endpoints that were asked.
    pub asked: u32,
}

/// Why something could not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotSeen {
    /// No answer, or an error that is no evidence.
    RpcFailed,
    /// The endpoint does not offer the method.
    NotOffered,
    /// State at this tipset is not kept by the endpoint.
    MissingState,
    /// Answers contradict each other, or what was seen finalized before.
    Contradiction,
    /// The round did not get to it.
    NotAsked,
}

impl std::fmt::Display for NotSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RpcFailed => "no endpoint gave an answer that counts",
            Self::NotOffered => "no endpoint offers the method",
            Self::MissingState => "no endpoint has the state of that tipset",
            Self::Contradiction => "the answers contradict each other, or what was seen before",
            Self::NotAsked => "it was not asked yet",
        })
    }
}

/// A published deal's proposal and state, as `StateMarketStorageDeal` has them. Client and provider are ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnChainDeal {
    /// The piece.
    pub piece: Commitment,
    /// Its padded size.
    pub size: PaddedSize,
    /// Whether it uses DataCap.
    pub verified: bool,
    /// Who pays.
    pub client: ActorId,
    /// Who stores.
    pub provider: ProviderId,
    /// The label when it is text.
    pub label: String,
    /// First epoch of the term; activation must not be later.
    pub start: Epoch,
    /// The term ends before this epoch.
    pub end: Epoch,
    /// Price of the whole piece per epoch.
    pub price_per_epoch: AttoFil,
    /// What the provider loses if it does not keep it.
    pub provider_collateral: AttoFil,
    /// What the client has at stake.
    pub client_collateral: AttoFil,
    /// When it was activated, if it was.
    pub activated: Option<Epoch>,
    /// Its sector, meaningful only when activated.
    pub sector: SectorNumber,
}

/// What the market says about one deal id at the round's tipset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DealSeen {
    /// In state.
    Present(Box<OnChainDeal>),
    /// Exit 32: was there, is removed.
    Gone,
    /// Exit 17, or an id not yet allocated.
    NeverAllocated,
    /// Could not be read.
    NotSeen(NotSeen),
}

/// What the miner says about one sector at the round's tipset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SectorSeen {
    /// Live and not faulty.
    Live,
    /// Faulty; since when, if the chain tells (early expiration - 120,960).
    Faulty {
        /// Last epoch of the deadline in which the fault took effect.
        since: Option<Epoch>,
    },
    /// Terminated, or the miner actor is gone: a witness of loss.
    Dead,
    /// Could not be read.
    NotSeen(NotSeen),
}

/// What a miner's table of sectors says of one that holds a copy by itself, at the round's tipset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermSeen {
    /// It is listed; a terminated sector may be, too.
    Listed(Term),
    /// It is not listed.
    Gone,
    /// Could not be read.
    NotSeen(NotSeen),
}

/// Health of a whole provider in one round. Rows exist only for the exceptions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderSeen {
    /// No sector of this provider is faulty.
    Clear,
    /// None but these; each with what was seen of it.
    Except(Vec<(SectorNumber, SectorSeen)>),
    /// Could not be read.
    NotSeen(NotSeen),
}

impl ProviderSeen {
    /// What this says about `sector`, given that the market shows its deal as present.
    #[must_use]
    pub fn sector(&self, sector: SectorNumber) -> SectorSeen {
        match self {
            Self::Clear => SectorSeen::Live,
            Self::Except(rows) => {
                rows.iter().find(|(number, _)| *number == sector).map_or(SectorSeen::Live, |(_, seen)| *seen)
            }
            Self::NotSeen(reason) => SectorSeen::NotSeen(*reason),
        }
    }
}

/// Which sectors of a provider live in one round. Rows exist only for the exceptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LivesSeen {
    /// All that were asked for.
    All,
    /// All but these, which are in no partition or terminated. In order.
    Except(Vec<SectorNumber>),
    /// Could not be read.
    NotSeen(NotSeen),
}

/// What the last looks at a provider found, kept once for all of its replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderView {
    /// Height of the last round that read its faults.
    pub faults_at: Option<Epoch>,
    /// Height of the last round that read which of its sectors live.
    pub lives_at: Option<Epoch>,
    /// The last look at its faults failed.
    pub unseen: Option<Unseen>,
}

/// A look that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// Why.
    pub reason: NotSeen,
    /// Height of the first round since the last good look.
    pub since: Epoch,
    /// Height of the last round that failed.
    pub at: Epoch,
}

impl ProviderView {
    /// A look older than this says nothing any more: a proving period and a half.
    const STALE_AFTER: i64 = 4_320;

    /// Why nothing can be said at `height` of a replica that was itself read at `own`, if so.
    #[must_use]
    pub fn doubt(&self, own: Epoch, height: Epoch) -> Option<NotSeen> {
        if let Some(unseen) = self.unseen.filter(|unseen| unseen.at > own) {
            return Some(unseen.reason);
        }
        let is_stale = |read: Option<Epoch>| {
            height.0.saturating_sub(read.map_or(own, |read| read.max(own)).0) > Self::STALE_AFTER
        };
        (is_stale(self.faults_at) || is_stale(self.lives_at)).then_some(NotSeen::NotAsked)
    }
}

/// Who runs a provider, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderOnChain {
    /// The miner actor.
    pub provider: ProviderId,
    /// Its owner.
    pub operator: OperatorId,
    /// Bytes of its sectors.
    pub sector_bytes: u64,
    /// Base URLs read from its multiaddrs, best first.
    pub urls: Vec<String>,
}
