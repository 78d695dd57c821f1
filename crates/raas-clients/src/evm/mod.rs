//! The contract over `eth_*`: its events by window, its views at a block, its calls as data.
//!
//! An `eth_call` at block B sees the state after B's messages; native reads at tipset B see it before.

mod abi;
mod artifact;
mod holes;
mod kind;
mod logs;
mod quantity;
mod status;
mod transaction;
mod views;
mod window;
mod witness;

pub use abi::{
    Deal, DealStatusAbi, Frc0087Abi, InclusionAuxData, InclusionProof, InclusionVerifierData, MarketDeal,
    Policy, ProofData,
};
pub use artifact::{Artifact, ArtifactError, CodeMatch, DeploySettings};
pub use holes::{LogsSeen, logs_seen};
pub use kind::{AbiKind, UnknownKind};
pub use status::DealStatus;
pub use transaction::{NoCall, calldata, created_address};

pub(crate) use abi::no_quote;
pub(crate) use quantity::{hex_number, quantity};
pub(crate) use transaction::Eip1559;
pub(crate) use window::allowed;
