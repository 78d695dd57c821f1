//! The wallet's port: accounts, transactions, what signing and sending mean.

use crate::allocation::Allocation;
use crate::cid::Commitment;
use crate::ids::{ActorId, ContractAddress, DealId, JobId, ProviderId, RequestId};
use crate::observation::NotSeen;
use crate::order::Within;
use crate::ports::{DealTerms, SignedDeal};
use crate::units::{AttoFil, Epoch, PaddedSize};
use serde::{Deserialize, Serialize};
use std::future::Future;

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
    /// `submitRaaSMany` for jobs registered over the API: their requests have consecutive ids, in this order.
    SubmitMany {
        /// At most [`SUBMISSIONS_MAX`].
        submissions: Vec<Submission>,
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
    /// DataCap of the node's f1 account for a piece at a provider.
    Allocate(Allocation),
    /// Nothing: takes a nonce whose transaction cannot be made dearer, so that those behind it can go.
    Cancel {
        /// Which account.
        lane: Lane,
    },
    /// `pruneDeals`: takes deals that are over off a contract's list of a CID.
    Prune {
        /// Which contract; of our own kind.
        contract: ContractAddress,
        /// Binary CID.
        #[serde(with = "serde_bytes_vec")]
        cid: Vec<u8>,
        /// Which deals.
        deals: Vec<DealId>,
    },
    /// `complete` of a request with a proven deal.
    Complete {
        /// Which contract; `None`, in what was stored before there could be several, is the first one.
        #[serde(default)]
        contract: Option<ContractAddress>,
        /// The request.
        request: RequestId,
        /// The market actor that gave the deal its id; `None`: f05.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        market: Option<ActorId>,
        /// The deal.
        deal: DealId,
        /// Its provider.
        provider: ProviderId,
        /// The piece.
        piece: Commitment,
        /// Its padded size.
        size: PaddedSize,
        /// The aggregate that is the deal's piece; `None`: the piece is the deal.
        #[serde(default)]
        within: Option<Within>,
        /// That the piece is in the aggregate, in CBOR. Empty: it is alone there, or is the deal.
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "serde_bytes_vec")]
        proof: Vec<u8>,
    },
}

/// Jobs that one [`TxIntent::SubmitMany`] registers at most: what our contract takes in one call. On the devnet they are
/// estimated at 1.4 billion gas, 28 million each, and a block holds 10 billion.
pub const SUBMISSIONS_MAX: usize = 50;

/// One registration of a [`TxIntent::SubmitMany`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The job its request binds to.
    pub job: JobId,
    /// Binary CID.
    #[serde(with = "serde_bytes_vec")]
    pub cid: Vec<u8>,
    /// Replication target.
    pub target: u32,
    /// Repair threshold, epochs.
    pub repair: i64,
    /// Renew threshold, epochs.
    pub renew: i64,
}

impl TxIntent {
    /// Which account sends it.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        match self {
            Self::AddBalance { .. } | Self::Withdraw { .. } | Self::Settle { .. } | Self::Allocate(_) => {
                Lane::Native
            }
            Self::Transfer { from: lane, .. } | Self::Cancel { lane } => *lane,
            Self::Submit { .. } | Self::SubmitMany { .. } | Self::Prune { .. } | Self::Complete { .. } => {
                Lane::Evm
            }
        }
    }

    /// What leaves the account besides gas.
    #[must_use]
    pub const fn value(&self) -> AttoFil {
        match self {
            Self::AddBalance { amount } | Self::Transfer { amount, .. } => *amount,
            Self::Withdraw { .. }
            | Self::Settle { .. }
            | Self::Allocate(_)
            | Self::Cancel { .. }
            | Self::Submit { .. }
            | Self::SubmitMany { .. }
            | Self::Prune { .. }
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

/// Why a transaction has no quote. Nothing was signed, so nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoQuote {
    /// The contract lists as many deals of the CID as it can; some have to be pruned first.
    #[error("{0}")]
    ListFull(String),
    /// The transaction cannot be executed as it is: the contract refuses it, or no block has the gas for it.
    #[error("{0}")]
    Refused(String),
    /// It could not be found out; perhaps later.
    #[error("{0}")]
    Unknown(String),
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
    ) -> impl Future<Output = Result<Quote, NoQuote>> + Send;

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
