//! What goes into and comes out of the store's transactions.

use raas_core::cid::{Commitment, DataCid};
use raas_core::fleet::{Ask, Breaker};
use raas_core::gate::Hold;
use raas_core::health::Health;
use raas_core::holding::Unserved;
use raas_core::ids::{
    ContractAddress, DealId, HoldingId, JobId, OrderId, OwnerId, ProviderId, RequestAt, RequestId, StepId,
};
use raas_core::observation::{ProviderOnChain, ProviderView, Round};
use raas_core::order::{Order, OrderState, Signed, SlotRef};
use raas_core::policy::{Duties, Policy};
use raas_core::ports::{Lane, Packed, SignedTx, TxIntent};
use raas_core::spend::Limit;
use raas_core::units::{AttoFil, Epoch, PaddedSize};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use super::incidents::Trouble;
use super::seen_proposals::SeenProposal;

/// Where a job came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "source")]
pub enum JobSource {
    /// The HTTP API or the command line.
    Api,
    /// An upload that asked for deals.
    Upload,
    /// A request on the contract.
    Contract {
        /// Which contract.
        contract: ContractAddress,
        /// Its id there.
        request: RequestId,
        /// Transaction that submitted it, 0x hex. Without its event it is not known: [`NO_TRANSACTION`] for a request
        /// of somebody else, empty for one that may be this node's own.
        transaction: String,
        /// Block of the event, or at which the contract's view told of the request.
        block: Epoch,
        /// False when its event is lost and its contract stores no policies: what it asks for is not known.
        #[serde(default = "known")]
        policy_known: bool,
    },
}

/// In place of the transaction of somebody else's request.
pub const NO_TRANSACTION: &str = "0x";

/// Before there were contracts without policies, every request's was known.
const fn known() -> bool {
    true
}

/// A job to be registered. All of it is validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Whose.
    pub owner: OwnerId,
    /// What.
    pub cid: DataCid,
    /// Which R's.
    pub duties: Duties,
    /// How.
    pub policy: Policy,
    /// From where.
    pub source: JobSource,
    /// Whether it is to be registered on the contract as well: the transaction is planned in the same
    /// transaction that stores the job.
    pub on_chain: Option<TxSubmit>,
    /// Which of its transaction's requests it is, from 0; `None` where that is not known, and for other sources.
    pub position: Option<u64>,
    /// Head when it was registered.
    pub at: Epoch,
    /// Seconds since 1970.
    pub at_unix: i64,
    /// The caller's key for repeating the call.
    pub idempotency_key: Option<String>,
}

/// Parameters of the `submitRaaS` that registers a job on the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxSubmit {
    /// Binary CID.
    pub cid: Vec<u8>,
    /// Replication target.
    pub target: u32,
    /// Repair threshold, epochs.
    pub repair: i64,
    /// Renew threshold, epochs.
    pub renew: i64,
}

/// Whether a job still asks for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It counts.
    Open,
    /// No more spending for it.
    Stopped,
}

/// A registered job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// The holding it counts for.
    pub holding: HoldingId,
    /// Whose.
    pub owner: OwnerId,
    /// What.
    pub cid: DataCid,
    /// Which R's.
    pub duties: Duties,
    /// How.
    pub policy: Policy,
    /// From where.
    pub source: JobSource,
    /// Its request on a contract, once known: by its own event, or by the transaction that submitted it.
    pub request: Option<RequestAt>,
    /// Why nothing is done for it although it is open, if so.
    pub unserved: Option<Unserved>,
    /// Whether it counts.
    pub state: JobState,
    /// The rewind after which its request is on no chain any more.
    pub superseded: Option<u64>,
    /// Head when it was registered.
    pub at: Epoch,
    /// Seconds since 1970.
    pub at_unix: i64,
}

/// What a registration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// A new job.
    Created {
        /// Its number.
        job: JobId,
        /// The holding it counts for.
        holding: HoldingId,
    },
    /// The idempotency key, or the contract request, was seen before with the same content.
    AlreadyExists {
        /// The first one.
        job: JobId,
        /// Its holding.
        holding: HoldingId,
    },
}

/// A piece whose bytes this node computed itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPiece {
    /// Root of the payload in its CAR.
    pub root: DataCid,
    /// The commitment.
    pub commitment: Commitment,
    /// Padded size.
    pub size: PaddedSize,
    /// Bytes of the CAR.
    pub car_bytes: u64,
    /// Payload bytes of the file or directory.
    pub payload_bytes: u64,
}

impl NewPiece {
    /// A piece that was packed from what is under `root`.
    #[must_use]
    pub fn of(root: &DataCid, packed: Packed) -> Self {
        let Packed { commitment, size, car_bytes, payload_bytes } = packed;
        Self { root: root.clone(), commitment, size, car_bytes, payload_bytes }
    }
}

/// A stored piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPiece {
    /// As recorded.
    pub piece: NewPiece,
    /// Whether its CAR is on the disk.
    pub local: bool,
    /// When a retrieval from a provider was last verified.
    pub retrieved_at: Option<Epoch>,
}

/// A stored order with its place and the bytes that left or will leave the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOrder {
    /// The order.
    pub order: Order,
    /// Grows by one with every write; a write names the version it read.
    pub version: i64,
    /// The holding it was made for.
    pub holding: HoldingId,
    /// The places it fills; empty when it is a spare.
    pub slots: Vec<SlotRef>,
    /// The signed deal, once there is one.
    pub proposal: Option<StoredProposal>,
}

/// The bytes of money. Stored before they leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProposal {
    /// Identity and term.
    pub signed: Signed,
    /// The deal's UUID.
    pub uuid: [u8; 16],
    /// What the provider's store call takes.
    pub bytes: Vec<u8>,
    /// The secret that opens `/piece` for this deal.
    pub secret: String,
    /// The market's next deal id when it was signed: a search for the published deal starts here.
    pub next_deal: DealId,
}

/// An adopted copy: a deal this node did not order, verified against a piece it computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Whose copy.
    pub holding: HoldingId,
    /// The order that stands for it; its id is ignored and given by the store.
    pub order: Order,
    /// The deal with its whole proposal; `None` for a copy without a deal.
    pub proposal: Option<SeenProposal>,
}

/// A deal named by the contract that is not (yet) one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The CID it was listed for.
    pub cid: DataCid,
    /// The request that completed it, when known.
    pub of: Option<RequestAt>,
    /// The deal.
    pub deal: DealId,
    /// What became of it.
    pub state: SightingState,
}

/// What became of a sighting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SightingState {
    /// Not looked at yet, or not seen on chain yet.
    New,
    /// It is an order of this holding now, or was one already.
    Adopted,
    /// Its piece is none that this node computed for the CID.
    Unverified,
}

/// What became of an active replica: another health, or its end. It stays what it is on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaChange {
    /// Which order.
    pub order: OrderId,
    /// The version read.
    pub version: i64,
    /// Whose.
    pub holding: HoldingId,
    /// Where.
    pub provider: ProviderId,
    /// How it stood.
    pub from: Health,
    /// Its order now: active, lost or ended.
    pub to: OrderState,
}

/// What one round changes, all or nothing.
#[derive(Clone, Debug)]
pub struct RoundReport {
    /// The round.
    pub round: Round,
    /// Why nothing may be started, if so.
    pub hold: Option<Hold>,
    /// Orders whose state changed: id, version read, new state.
    pub orders: Vec<(OrderId, i64, OrderState)>,
    /// What became of active replicas.
    pub replicas: Vec<ReplicaChange>,
    /// Replicas that turned as well, by provider: later slices of this round write them.
    pub turning: BTreeMap<ProviderId, u32>,
    /// Providers of which an earlier slice was written: the log told of all of it.
    pub turned_before: BTreeSet<ProviderId>,
    /// What was found of each provider that was looked at.
    pub views: Vec<(ProviderId, ProviderView)>,
    /// Providers' troubles as they stand now, where they changed.
    pub troubles: Vec<Trouble>,
    /// Copies found.
    pub adopted: Vec<Adopted>,
    /// Sightings whose state changed: (cid, deal, state).
    pub sightings: Vec<(DataCid, DealId, SightingState)>,
    /// Told pieces whose state changed.
    pub told: Vec<(ContractAddress, DealId, SightingState)>,
    /// The breaker after this round.
    pub breaker: Breaker,
    /// Deal events of the market are read up to here.
    pub events_read_to: Epoch,
    /// Every deal below this id was told by an event or looked at; `None` changes nothing.
    pub deals_read_to: Option<DealId>,
    /// Deals of orders that were seen on chain for the first time, with their whole proposals.
    pub proposals: Vec<(OrderId, SeenProposal)>,
}

/// What became of one action at commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// An order was made and its delivery step is due.
    Ordered(OrderId),
    /// The pieces lie in this aggregate.
    Packed(raas_core::cid::Commitment),
    /// The spare fills the slot.
    Filled,
    /// A completion transaction was planned.
    AttestPlanned(TxId),
    /// An eviction step is due.
    EvictPlanned(StepId),
    /// The order was cancelled.
    Cancelled,
    /// The world moved since the plan was made: the slot is taken, the order changed, money is short.
    Refused(Refusal),
}

/// Why an action was not committed. A wait, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The slot has an occupying order or enough live generations.
    SlotTaken,
    /// Budget or escrow is short by now.
    Budget {
        /// Price of the term.
        needed: AttoFil,
        /// What is left.
        available: AttoFil,
        /// Under which limit.
        limit: Limit,
    },
    /// The order is not in the state the plan saw.
    Changed,
    /// It was done before.
    Already,
}

/// A durable step of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub id: StepId,
    /// What to do.
    pub kind: StepKind,
    /// How often it ran to an end.
    pub attempts: u32,
    /// How often it was claimed and never finished: the process died in it.
    pub crashes: u32,
    /// Whether its last run is one of them.
    pub died: bool,
}

/// The kinds of step; one row per (kind, subject).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum StepKind {
    /// Bring an order to its provider: bytes at hand, escrow there, signed, handed over.
    Deliver {
        /// Which.
        order: OrderId,
    },
    /// Move a transaction towards finality.
    Send {
        /// Which.
        tx: TxId,
    },
    /// Delete a local copy.
    Evict {
        /// Whose.
        holding: HoldingId,
        /// What.
        piece: Commitment,
    },
    /// Show that a provider serves a piece, so that the local copy is not its last source.
    Probe {
        /// Whose.
        holding: HoldingId,
        /// What.
        piece: Commitment,
    },
    /// Find and fetch the bytes of a holding that has none.
    Fetch {
        /// Whose.
        holding: HoldingId,
    },
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// Nothing left to do.
    Done,
    /// Again at this time; the text says why.
    Again {
        /// Seconds since 1970 by the decision clock.
        at_unix: i64,
        /// Why not now.
        why: String,
        /// Whether it counts as a failed attempt.
        failed: bool,
    },
    /// Its worker died in it too often: set aside until this time, and alone from then on until it ends.
    SetAside {
        /// Seconds since 1970 by the decision clock.
        at_unix: i64,
        /// Why.
        why: String,
    },
    /// Not again until somebody says "retry now".
    Parked {
        /// Why.
        why: String,
    },
}

/// A logical transaction as one store numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TxId(pub u64);

/// A stored transaction. Its state is the sender machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTx {
    /// Its number.
    pub id: TxId,
    /// What it does.
    pub intent: TxIntent,
    /// Which account.
    pub lane: Lane,
    /// Grows with every write.
    pub version: i64,
    /// Nonce and signed forms, newest last; empty until signed. All share one nonce.
    pub signed: Vec<SignedTx>,
    /// The nonce, once reserved.
    pub nonce: Option<u64>,
    /// The sender machine's state as JSON of `raas_core::machine::sender::State`.
    pub state: serde_json::Value,
    /// Whether it can still change.
    pub open: bool,
    /// The transaction that carries it in its stead, if one does.
    pub carrier: Option<TxId>,
}

/// A provider as the node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProvider {
    /// Owner, size, addresses.
    pub on_chain: ProviderOnChain,
    /// Its last ask.
    pub ask: Option<Ask>,
    /// Epoch at which both were read.
    pub read_at: Epoch,
    /// Failures of its own fault since its last success.
    pub failures: u32,
    /// Passed over until then.
    pub backs_off_until: Option<Epoch>,
    /// The last failure in words.
    pub last_failure: Option<String>,
}

/// One try of one effect, kept for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Whose.
    pub holding: Option<HoldingId>,
    /// Which order, if it was for one.
    pub order: Option<OrderId>,
    /// At whom, if at a provider.
    pub provider: Option<ProviderId>,
    /// What was tried: `propose`, `fetch`, `broadcast`, …
    pub what: String,
    /// `done`, `failed`, `uncertain`, `rejected`.
    pub outcome: String,
    /// In words.
    pub detail: String,
    /// Epoch by the decision clock.
    pub at: Epoch,
    /// Seconds since 1970 by the same clock.
    pub at_unix: i64,
}

/// An upload under way or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Random, 128 bits in hex.
    pub id: String,
    /// Whose.
    pub owner: OwnerId,
    /// The upload machine's state as JSON.
    pub state: serde_json::Value,
    /// The root, once packed.
    pub root: Option<DataCid>,
    /// The job it led to, if it asked for deals.
    pub job: Option<JobId>,
}
