//! The ports: what the node's engine needs from outside, in the words of the rules.
//!
//! Each has a real adapter and an in-memory one over the devnet's world, so that a seeded simulation drives
//! the same engine. Every read says *seen*, *seen absent* or *failed to look*; every effect is done, failed
//! or [`Effect::Uncertain`], and uncertain is settled by looking, never by repeating with other bytes.

use crate::cid::Commitment;
use crate::endpoint::EndpointSeen;
use crate::fleet::Ask;
use crate::gate::Hold;
use crate::ids::{ActorId, DealId, JobId, OwnerId, ProviderId, RequestId, SectorNumber};
use crate::observation::{DealSeen, LivesSeen, NotSeen, ProviderOnChain, ProviderSeen, Round, SectorSeen};
use crate::units::{AttoFil, Epoch, PaddedSize};
use serde::{Deserialize, Serialize};
use std::future::Future;

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

    /// Events of the market in `from..=to`, `to` finalized, by height.
    fn deal_events(
        &self,
        from: Epoch,
        to: Epoch,
    ) -> impl Future<Output = Result<Vec<DealEvent>, NotSeen>> + Send;

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

    /// The next deal id the market will give at the round's tipset: ids below it were allocated.
    fn next_deal(&self, round: &Round) -> impl Future<Output = Result<DealId, NotSeen>> + Send;

    /// The wallet's actor id; `None` while it has never been used on chain.
    fn client_id(&self) -> impl Future<Output = Result<Option<ActorId>, NotSeen>> + Send;
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
    /// Replication target, repair and renew thresholds; `None` for a plain `submit`.
    pub raas: Option<[u128; 3]>,
    /// Transaction that submitted it, 0x hex; empty where a view told the request, which does not know it.
    pub transaction: String,
    /// Block of the event, or at which the view was read.
    pub block: Epoch,
}

impl RequestSeen {
    /// What makes this event this one and no other, wherever it is mined: transaction and content, but neither block
    /// nor place in it, which a reorganisation changes.
    #[must_use]
    pub fn identity(&self) -> (&str, &[u8], Option<[u128; 3]>) {
        (&self.transaction, &self.cid, self.raas)
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

    /// `getAllDeals(cid)` at `block`, as (deal, provider).
    fn deals_of(
        &self,
        cid: &[u8],
        block: Epoch,
    ) -> impl Future<Output = Result<Vec<(DealId, ProviderId)>, NotSeen>> + Send;
}

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
    /// On the disk as a piece.
    Packed(Packed),
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

    /// Finds a payload by its CID at the configured gateways, verifies it and packs it into a piece.
    fn import(&self, root: &crate::cid::DataCid) -> impl Future<Output = Imported> + Send;

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
    /// Bytes of the CAR that the provider pulls.
    pub car_bytes: u64,
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

/// One of the wallet's two faces, each with its own nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// f1 account: market escrow.
    Native,
    /// 0x account: the contract.
    Evm,
}

/// What a transaction is to do. One intent is one logical transaction, mined at most once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "intent")]
pub enum TxIntent {
    /// Escrow for the node's f1 account.
    AddBalance {
        /// How much.
        amount: AttoFil,
    },
    /// `submitRaaS` for a job registered over the API.
    Submit {
        /// The job its request binds to.
        job: JobId,
        /// Binary CID.
        #[serde(with = "serde_bytes_vec")]
        cid: Vec<u8>,
        /// Replication target.
        target: u32,
        /// Repair threshold, epochs.
        repair: i64,
        /// Renew threshold, epochs.
        renew: i64,
    },
    /// Money from one of the node's own accounts to somebody.
    Transfer {
        /// Which account pays.
        from: Lane,
        /// Address in text, checked by whoever made the intent.
        to: String,
        /// How much.
        amount: AttoFil,
    },
    /// Free escrow back to the node's f1 account.
    Withdraw {
        /// How much.
        amount: AttoFil,
    },
    /// Asks the market to settle deals, so that what they still lock becomes free.
    Settle {
        /// Which, at most a few hundred.
        deals: Vec<DealId>,
    },
    /// Nothing: takes a nonce whose transaction cannot be made dearer, so that those behind it can go.
    Cancel {
        /// Which account.
        lane: Lane,
    },
    /// `complete` of a request with a proven direct piece.
    Complete {
        /// The request.
        request: RequestId,
        /// The deal.
        deal: DealId,
        /// Its provider.
        provider: ProviderId,
        /// The piece.
        piece: Commitment,
        /// Its padded size.
        size: PaddedSize,
    },
}

impl TxIntent {
    /// Which account sends it.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        match self {
            Self::AddBalance { .. } | Self::Withdraw { .. } | Self::Settle { .. } => Lane::Native,
            Self::Transfer { from: lane, .. } | Self::Cancel { lane } => *lane,
            Self::Submit { .. } | Self::Complete { .. } => Lane::Evm,
        }
    }

    /// What leaves the account besides gas.
    #[must_use]
    pub const fn value(&self) -> AttoFil {
        match self {
            Self::AddBalance { amount } | Self::Transfer { amount, .. } => *amount,
            Self::Withdraw { .. }
            | Self::Settle { .. }
            | Self::Cancel { .. }
            | Self::Submit { .. }
            | Self::Complete { .. } => AttoFil::ZERO,
        }
    }
}

/// A CID's bytes in JSON: hex, so that a stored intent stays readable.
mod serde_bytes_vec {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&hex)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !text.is_ascii() || text.len() % 2 != 0 {
            return Err(D::Error::custom("an even number of hex digits is needed"));
        }
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(D::Error::custom))
            .collect()
    }
}

/// Fees of one transaction in attoFIL per gas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fees {
    /// GasFeeCap / maxFeePerGas.
    pub fee_cap: AttoFil,
    /// GasPremium / maxPriorityFeePerGas.
    pub premium: AttoFil,
}

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTx {
    /// What is broadcast: raw RLP (EVM), or the JSON of a signed message (native).
    pub raw: Vec<u8>,
    /// 0x hash (EVM) or message CID (native).
    pub hash: String,
    /// What it offers.
    pub fees: Fees,
    /// The most its gas can cost: gas limit times fee cap. Zero in what was stored before it was counted.
    #[serde(default)]
    pub gas_max: AttoFil,
    /// Whether it only takes the nonce ([`TxIntent::Cancel`]).
    #[serde(default)]
    pub cancels: bool,
}

/// What a transaction would cost, by the present estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The estimate and a quarter more.
    pub gas_limit: u64,
    /// Per gas.
    pub fees: Fees,
}

impl Quote {
    /// The most its gas can cost.
    #[must_use]
    pub const fn gas_max(&self) -> AttoFil {
        self.fees.fee_cap.times(self.gas_limit)
    }
}

/// An account's next unused nonces by the chain's state, not counting what waits in a mempool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Nonces {
    /// The highest any endpoint tells, at its head or behind it.
    pub head: u64,
    /// What enough endpoints tell of the finalized tipset.
    pub finalized: u64,
}

/// Who used a nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taker {
    /// Nobody, at the finalized tipset.
    Nobody,
    /// This transaction.
    Tx {
        /// 0x hash (EVM) or message CID (native).
        hash: String,
        /// Where.
        inclusion: Inclusion,
    },
}

/// How a broadcast went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// The endpoint has it.
    Taken,
    /// It had these very bytes already.
    AlreadyKnown,
    /// Its nonce is used: by an earlier form of this transaction, or by somebody else with our key.
    NonceTooLow,
    /// Refused for another reason; it is not in the pool.
    Refused(String),
    /// Nobody knows.
    Uncertain(String),
}

/// Where a transaction stands on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// The tipset that includes it.
    pub block: Epoch,
    /// Exit code 0, or status 1.
    pub success: bool,
}

/// The node's keys and what they sign and send. Keys never leave the adapter.
pub trait Wallet: Send + Sync {
    /// The same terms always give the same proposal.
    fn sign_deal(&self, terms: &DealTerms) -> impl Future<Output = Result<SignedDeal, String>> + Send;

    /// The account's next nonces.
    fn nonces(&self, lane: Lane) -> impl Future<Output = Result<Nonces, NotSeen>> + Send;

    /// Estimates gas and fees. `bump` is what the transaction replaces: +25 % premium at least. Nothing is
    /// signed.
    fn quote(
        &self,
        intent: &TxIntent,
        nonce: u64,
        bump: Option<Fees>,
    ) -> impl Future<Output = Effect<Quote>> + Send;

    /// Signs `intent` at what `quote` says. Nothing leaves the node but, with an external signer, the unsigned
    /// transaction.
    fn sign(
        &self,
        intent: &TxIntent,
        nonce: u64,
        quote: Quote,
    ) -> impl Future<Output = Result<SignedTx, String>> + Send;

    /// Sends stored bytes. Safe to repeat.
    fn broadcast(&self, lane: Lane, tx: &SignedTx) -> impl Future<Output = Broadcast> + Send;

    /// Looks a transaction up by its hash, at the head; `None` when no executed tipset has it.
    fn included(
        &self,
        lane: Lane,
        hash: &str,
    ) -> impl Future<Output = Result<Option<Inclusion>, NotSeen>> + Send;

    /// Looks up who used `nonce`, between the heights `since` and the finalized tipset. Endpoints forget hashes
    /// after some epochs, but not so soon whose nonce moved where.
    fn taker(
        &self,
        lane: Lane,
        nonce: u64,
        since: Epoch,
    ) -> impl Future<Output = Result<Taker, NotSeen>> + Send;

    /// What the account owns at the head.
    fn balance(&self, lane: Lane) -> impl Future<Output = Result<AttoFil, NotSeen>> + Send;

    /// The account's address in text.
    fn address(&self, lane: Lane) -> String;
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
