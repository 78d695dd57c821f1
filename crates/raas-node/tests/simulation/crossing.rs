//! What crosses the node's border, as plain data: what it was told of the chain, and what left it.
//!
//! The ports write it down in the order in which it happened; the judge reads it beside the ledger. Nothing here is a
//! type of the node, so that what the node believes of itself cannot get in.

/// One thing that crossed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// A finalized tipset was pinned; whether the RPC told nothing but the truth at that time.
    Round { tipset: i64, truthful: bool },
    /// The node was told that a sector is faulty at a tipset.
    Faulty { tipset: i64, provider: u64, sector: u64 },
    /// The node was told that a sector is dead at a tipset: one witness of a loss.
    Dead { tipset: i64, provider: u64, sector: u64 },
    /// The node was told for the first time that a deal is active, and with that its sector.
    Active { deal: u64 },
    /// The node was told that the market has removed a deal at a tipset: the other witness.
    Gone { tipset: i64, deal: u64 },
    /// A proposal was signed, which is money from now on.
    Signed { proposal: String, piece: String, cost: u128 },
    /// A proposal was handed to a provider.
    Proposal {
        uuid: String,
        bytes: Vec<u8>,
        /// Whether exactly these bytes were in the node's store before.
        durable: bool,
    },
    /// A transaction was handed to an endpoint.
    Transaction(Sent),
    /// The local copy of a piece was deleted.
    Evicted { piece: String },
}

/// A transaction as it left the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Which account: `native` or `evm`.
    pub lane: &'static str,
    pub nonce: u64,
    pub hash: String,
    /// The premium offered.
    pub premium: u128,
    /// Whom it calls and with what, without its price.
    pub to: String,
    pub value: u128,
    pub data: Vec<u8>,
    /// The number of the intent in the node's store that has exactly these bytes; `None` when none has.
    pub intent: Option<u64>,
    /// Whether it only takes the nonce.
    pub cancels: bool,
}
