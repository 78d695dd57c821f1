//! The ports: what the node's engine needs from outside, in the words of the rules.
//!
//! Each has a real adapter and an in-memory one over the devnet's world, so that a seeded simulation drives
//! the same engine. Every read says *seen*, *seen absent* or *failed to look*; every effect is done, failed
//! or [`Effect::Uncertain`], and uncertain is settled by looking, never by repeating with other bytes.

use crate::allocation::DataCap;
use crate::cid::Commitment;
use crate::endpoint::EndpointSeen;
use crate::fleet::Ask;
use crate::gate::Hold;
use crate::ids::{ActorId, DealId, OwnerId, ProviderId, RequestId, SectorNumber};
use crate::observation::{
    DealSeen, LivesSeen, NotSeen, ProviderOnChain, ProviderSeen, Round, SectorSeen, TermSeen,
};
use crate::units::{AttoFil, Epoch, PaddedSize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::future::Future;

pub use crate::wallet::{
    Broadcast, Fees, Inclusion, Lane, NoQuote, Nonces, Quote, SUBMISSIONS_MAX, SignedTx, Submission, Taker,
    TxIntent, Wallet,
};

/// What became of an effect on the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<T> {
    /// It happened.
    Done(T),
    /// It did not happen, for this reason.
    Failed(String),
    /// Nobody knows: look before acting again.
    Uncertain(String),
}

/// The head and the finalized tipset as the endpoints tell them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The tipset that enough endpoints agree on.
    pub round: Round,
    /// How many endpoints must agree, by configuration.
    pub wanted: u32,
}

/// What a look at the chain starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The epoch by the clock: an endpoint whose head cannot be right is left out. `None` believes every head.
    pub expected: Option<Epoch>,
    /// The tipset that was pinned last, key and height. What is final now must hold it.
    pub last: Option<(String, Epoch)>,
}

/// Collateral a provider must offer for a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollateralBounds {
    /// Least.
    pub min: AttoFil,
    /// Most.
    pub max: AttoFil,
}

/// A client's money at the market and in its wallet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// All of its escrow.
    pub escrow: AttoFil,
    /// The part that running deals hold.
    pub locked: AttoFil,
    /// Outside the market.
    pub wallet: AttoFil,
}

/// What the market tells of a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DealChange {
    /// It was published.
    Published,
    /// Its sector was proven for the first time.
    Activated,
    /// Its sector was terminated before its end. Terminations by cron are not told.
    Terminated,
}

/// What the market told of a range of heights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DealEvents {
    /// By height.
    pub told: Vec<DealEvent>,
    /// Heights of which more happened than an answer may hold: nothing of them is told.
    pub left_out: Vec<Epoch>,
}

/// An event of the market: a hint where to look, never evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DealEvent {
    /// What happened.
    pub change: DealChange,
    /// The deal.
    pub deal: DealId,
    /// Who pays.
    pub client: ActorId,
    /// Who stores.
    pub provider: ProviderId,
    /// The tipset that included it.
    pub height: Epoch,
}

/// A claim at the verified registry f06.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimSeen {
    /// Its number among the provider's.
    pub claim: u64,
    /// The piece.
    pub piece: Commitment,
    /// Its padded size.
    pub size: PaddedSize,
    /// The sector it was proven in.
    pub sector: SectorNumber,
}

/// The chain, natively. All reads of a round are pinned to its tipset.
pub trait Chain: Send + Sync {
    /// Head and finalized tipset, agreed between endpoints; else why nothing can be pinned.
    fn pin(&self, look: &Look) -> impl Future<Output = Result<Pin, Hold>> + Send;

    /// The endpoints as they were last seen.
    fn endpoints(&self) -> Vec<EndpointSeen> {
        Vec::new()
    }

    /// How many endpoints must agree, by configuration.
    fn wanted(&self) -> u32 {
        1
    }

    /// Whether the chain that ends in the round's tipset holds the one with this key and height.
    fn holds(
        &self,
        _round: &Round,
        _tipset: &str,
        _height: Epoch,
    ) -> impl Future<Output = Result<bool, NotSeen>> + Send {
        std::future::ready(Err(NotSeen::NotOffered))
    }

    /// The given deals, one answer each, in the same order.
    fn deals(&self, round: &Round, deals: &[DealId]) -> impl Future<Output = Vec<DealSeen>> + Send;

    /// Whether the market has removed `deals`, one answer each, in the same order: the actor's exit code alone, for
    /// deals whose sector is seen dead. `NotSeen(Contradiction)` where it is still in state.
    fn removed(&self, round: &Round, deals: &[DealId]) -> impl Future<Output = Vec<DealSeen>> + Send;

    /// Faults of one provider; `watched` are the sectors that matter, in order. Since when is not asked again for
    /// those of `known` that are still faulty, which are in order too.
    fn provider_seen(
        &self,
        round: &Round,
        provider: ProviderId,
        watched: &[SectorNumber],
        known: &[SectorNumber],
    ) -> impl Future<Output = ProviderSeen> + Send;

    /// Which of `watched`, in order, are not live, by the provider's partitions.
    fn lives(
        &self,
        round: &Round,
        provider: ProviderId,
        watched: &[SectorNumber],
    ) -> impl Future<Output = LivesSeen> + Send;

    /// Sectors singly, one answer each, in the same order: for the second witness of a loss.
    fn sectors(
        &self,
        round: &Round,
        provider: ProviderId,
        sectors: &[SectorNumber],
    ) -> impl Future<Output = Vec<SectorSeen>> + Send;

    /// The entries of `sectors` in their miners' tables, one answer each, in the same order.
    fn terms(
        &self,
        round: &Round,
        sectors: &[(ProviderId, SectorNumber)],
    ) -> impl Future<Output = Vec<TermSeen>> + Send;

    /// Claims of one provider at the verified registry f06 on any of `pieces`. They say that it once proved them in a
    /// sector, not that it still does.
    fn claims(
        &self,
        round: &Round,
        provider: ProviderId,
        pieces: &BTreeSet<Commitment>,
    ) -> impl Future<Output = Result<Vec<ClaimSeen>, NotSeen>> + Send;

    /// Events of the market in `from..=to`, `to` finalized, by height.
    fn deal_events(&self, from: Epoch, to: Epoch)
    -> impl Future<Output = Result<DealEvents, NotSeen>> + Send;

    /// The provider's owner, sector size and addresses.
    fn provider(
        &self,
        round: &Round,
        provider: ProviderId,
    ) -> impl Future<Output = Result<ProviderOnChain, NotSeen>> + Send;

    /// Collateral bounds for a piece.
    fn collateral(&self, size: PaddedSize) -> impl Future<Output = Result<CollateralBounds, NotSeen>> + Send;

    /// Money of the node's wallet at the head.
    fn balances(&self) -> impl Future<Output = Result<Balances, NotSeen>> + Send;

    /// DataCap of the node's f1 account at the head, and what of it waits for providers.
    fn datacap(&self) -> impl Future<Output = Result<DataCap, NotSeen>> + Send;

    /// The next deal id the market will give at the round's tipset: ids below it were allocated.
    fn next_deal(&self, round: &Round) -> impl Future<Output = Result<DealId, NotSeen>> + Send;

    /// The wallet's actor id; `None` while it has never been used on chain.
    fn client_id(&self) -> impl Future<Output = Result<Option<ActorId>, NotSeen>> + Send;
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A plain `submit`: whatever the node gives by itself.
    Defaults,
    /// Replication target, repair and renew thresholds, the last two in epochs.
    Policy([u128; 3]),
    /// Nobody can tell: its event is lost and the contract stores no policies.
    Unknown,
}

/// A request as the contract's events and views tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSeen {
    /// Its id.
    pub request: RequestId,
    /// The CID's bytes as the caller gave them.
    pub cid: Vec<u8>,
    /// Who submitted it.
    pub owner: OwnerId,
    /// What it asks for.
    pub asked: Asked,
    /// Whether it still wants anything, as far as its source can tell: an event cannot tell what came later.
    pub open: bool,
    /// Transaction that submitted it, 0x hex; empty where a view told the request, which does not know it.
    pub transaction: String,
    /// Block of the event, or at which the view was read.
    pub block: Epoch,
}

impl RequestSeen {
    /// What makes this event this one and no other, wherever it is mined: transaction and content, but neither block
    /// nor place in it, which a reorganisation changes.
    #[must_use]
    pub fn identity(&self) -> (&str, &[u8], Asked) {
        (&self.transaction, &self.cid, self.asked)
    }
}

/// A completion as the contract's event tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletionSeen {
    /// Of which request.
    pub request: RequestId,
    /// With which deal.
    pub deal: DealId,
    /// Block of the event.
    pub block: Epoch,
}

/// A piece that a miner actor told a contract of (FIP-0109), for one of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldSeen {
    /// The contract's actor id: it is the market of such a deal.
    pub market: ActorId,
    /// The contract's own id for it.
    pub deal: DealId,
    /// For which request.
    pub request: RequestId,
    /// Whose miner actor told.
    pub provider: ProviderId,
    /// In which sector it is.
    pub sector: SectorNumber,
    /// The piece.
    pub piece: Commitment,
    /// Its padded size.
    pub size: PaddedSize,
    /// Block of the event.
    pub block: Epoch,
}

/// How a request stands on the contract, read there because its owner changed or closed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestStanding {
    /// Which.
    pub request: RequestId,
    /// Replication target, repair and renew thresholds; `None` for a request without a policy.
    pub raas: Option<[u128; 3]>,
    /// After which nothing is repaired or renewed.
    pub ends_at: Option<Epoch>,
    /// Whether it wants anything.
    pub open: bool,
}

/// What vouches for a window's logs besides the answer itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// So many endpoints gave the same logs.
    Endpoints(u32),
    /// The contract's state changed in no other block, and the receipts of those blocks have these logs.
    State,
    /// The receipts of every block of the window.
    Receipts,
    /// Nothing does.
    #[default]
    None,
}

/// The contract's events in one window, with what proves them complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContractWindow {
    /// Requests, by id.
    pub requests: Vec<RequestSeen>,
    /// Completions, in order.
    pub completions: Vec<CompletionSeen>,
    /// Pieces in sectors that the contract was told of, in order.
    pub told: Vec<ToldSeen>,
    /// Requests that changed in the window, of earlier windows too, as they stand at its last block.
    pub standing: Vec<RequestStanding>,
    /// `requestCount()` at the window's last block; `None` where the contract does not count.
    pub request_count: Option<u64>,
    /// What vouches for the logs.
    pub witness: Witness,
    /// Blocks in which the contract's state changed without any log of it: told, since a log may be hidden.
    pub unexplained: Vec<Epoch>,
}

/// The DealStatus contract.
pub trait Contract: Send + Sync {
    /// Events in `from..=to` and the request count at `to`, which is at most the round's `eth_block`.
    /// [`NotSeen::MissingState`] says that no endpoint keeps blocks so old.
    fn window(
        &self,
        round: &Round,
        from: Epoch,
        to: Epoch,
    ) -> impl Future<Output = Result<ContractWindow, NotSeen>> + Send;

    /// Requests `from..=to` by the contract's own views at `block`; `None` for a contract without such views.
    fn requests_by_view(
        &self,
        from: RequestId,
        to: RequestId,
        block: Epoch,
    ) -> impl Future<Output = Result<Option<Vec<RequestSeen>>, NotSeen>> + Send;

    /// `requestCount()` at `block`; `None` for a contract that does not count.
    fn request_count(&self, block: Epoch) -> impl Future<Output = Result<Option<u64>, NotSeen>> + Send;

    /// The CIDs of all requests in order of their ids, from 1, as the reference's `getAllCIDs()` tells them at `block`;
    /// `None` for a contract without that view. Other generations tell each CID once, so this is not for them.
    fn cids_by_request(
        &self,
        block: Epoch,
    ) -> impl Future<Output = Result<Option<Vec<Vec<u8>>>, NotSeen>> + Send;

    /// How requests stand at `block`, in their order. Empty for a contract whose requests never change.
    fn standing(
        &self,
        _requests: &[RequestId],
        _block: Epoch,
    ) -> impl Future<Output = Result<Vec<RequestStanding>, NotSeen>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// `getAllDeals(cid)` at `block`, as (deal, provider).
    fn deals_of(
        &self,
        cid: &[u8],
        block: Epoch,
    ) -> impl Future<Output = Result<Vec<(DealId, ProviderId)>, NotSeen>> + Send;

    /// The lists of several CIDs, one answer each, in the same order; at most [`LISTS_AT_ONCE`].
    fn deals_of_each(
        &self,
        cids: &[Vec<u8>],
        block: Epoch,
    ) -> impl Future<Output = Vec<Result<DealList, NotSeen>>> + Send {
        async move {
            let mut lists = Vec::with_capacity(cids.len());
            for cid in cids {
                lists.push(self.deals_of(cid, block).await.map(DealList::from));
            }
            lists
        }
    }
}

/// What a contract lists for a CID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DealList {
    /// The market's deals with their providers.
    pub deals: Vec<(DealId, ProviderId)>,
    /// The contract's own deals, about pieces in sectors.
    pub told: Vec<(DealId, ProviderId)>,
    /// All entries, those of other market actors too: what counts against the list's limit.
    pub length: usize,
}

impl From<Vec<(DealId, ProviderId)>> for DealList {
    fn from(deals: Vec<(DealId, ProviderId)>) -> Self {
        Self { length: deals.len(), deals, told: Vec::new() }
    }
}

/// CIDs of one [`Contract::deals_of_each`]: what our own contract answers in one call.
pub const LISTS_AT_ONCE: usize = 50;

/// What a provider answered to a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// Queued; not stored yet.
    Accepted,
    /// Refused, with its words. It may still publish what it holds.
    Rejected(String),
}

/// Storage providers' deal protocols.
pub trait DealMaker: Send + Sync {
    /// What it asks; `None` when it has no ask for this miner.
    fn ask(&self, provider: &ProviderOnChain) -> impl Future<Output = Result<Option<Ask>, NotSeen>> + Send;

    /// Hands over stored bytes of one deal. Safe to repeat with the same bytes.
    fn propose(
        &self,
        provider: &ProviderOnChain,
        deal: &[u8],
    ) -> impl Future<Output = Effect<Proposed>> + Send;
}

/// How bytes of a piece came, or why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Verified and on the local disk.
    Verified,
    /// The source served other bytes than its commitment or CID says.
    WrongBytes(String),
    /// The source does not have them, or not now.
    Unavailable(String),
}

/// Where a piece's bytes can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceSource {
    /// A provider with a proven copy.
    pub provider: ProviderOnChain,
    /// The piece.
    pub piece: Commitment,
    /// Where it lies at the provider, if it is not a deal of its own.
    pub within: Option<Enclosed>,
    /// Whether it holds only a part of the DAG under its root, so that other pieces complete it.
    pub is_part: bool,
}

/// A piece in an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enclosed {
    /// The aggregate's commitment.
    pub aggregate: Commitment,
    /// Where the piece begins in the aggregate's bytes as they are served: unpadded.
    pub start: u64,
    /// Bytes of the piece's CAR, which others follow.
    pub car_bytes: u64,
}

/// A payload packed into a piece on the local disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Its commitment, computed here.
    pub commitment: Commitment,
    /// Padded size.
    pub size: PaddedSize,
    /// Bytes of the CAR.
    pub car_bytes: u64,
    /// Bytes of the files in it.
    pub payload_bytes: u64,
}

/// How a payload came, or why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// On the disk: as one piece, or as the parts that hold it together, in order.
    Packed(Vec<Packed>),
    /// No configured source has it now.
    Unavailable(String),
    /// A source served other bytes than the CID says.
    WrongBytes(String),
}

/// The node's own copies.
pub trait Bytes: Send + Sync {
    /// Whether the piece is on the local disk, complete.
    fn has(&self, piece: Commitment) -> impl Future<Output = bool> + Send;

    /// Fetches a piece and verifies it against its commitment and root before it is kept.
    fn fetch(&self, source: &PieceSource) -> impl Future<Output = Fetched> + Send;

    /// As [`Bytes::fetch`], but keeps nothing: shows that the source serves the right bytes.
    fn verify(&self, source: &PieceSource) -> impl Future<Output = Fetched> + Send;

    /// Finds a payload by its CID at the configured sources, verifies it and packs it into a piece, or into several if it needs
    /// more than `piece_max`.
    fn import(
        &self,
        root: &crate::cid::DataCid,
        piece_max: PaddedSize,
    ) -> impl Future<Output = Imported> + Send;

    /// Deletes the local copy. Deleting what is not there is done.
    fn evict(&self, piece: Commitment) -> impl Future<Output = Effect<()>> + Send;
}

/// What a deal proposal says, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DealTerms {
    /// Derived from (store, order, attempt).
    pub uuid: [u8; 16],
    /// The piece.
    pub piece: Commitment,
    /// Its padded size.
    pub size: PaddedSize,
    /// Bytes that the provider pulls.
    pub bytes: u64,
    /// Root of the payload: the label and the deal data root.
    pub root: crate::cid::DataCid,
    /// Where.
    pub provider: ProviderId,
    /// First epoch.
    pub start: Epoch,
    /// First epoch after the term.
    pub end: Epoch,
    /// Price of the whole piece per epoch.
    pub price_per_epoch: AttoFil,
    /// What the provider must lock.
    pub provider_collateral: AttoFil,
    /// Where the provider pulls the bytes.
    pub url: String,
    /// Headers it must send, the per-deal secret among them.
    pub headers: Vec<(String, String)>,
}

/// A signed deal: the bytes that leave the node, again and again the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDeal {
    /// CIDv1 dag-cbor blake2b-256 of the proposal.
    pub proposal_cid: String,
    /// The CBOR that the provider's store call takes.
    pub bytes: Vec<u8>,
}

/// The time of decisions. On a real network wall time; on the devnet the devnet's true time, which RPC faults
/// do not touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The epoch the chain should be at.
    pub epoch: Epoch,
    /// Seconds since 1970 by the same clock.
    pub unix_seconds: i64,
}

/// Time as a port.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> impl Future<Output = Now> + Send;
}
