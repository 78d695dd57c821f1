//! Proofs of data segment inclusion (PoDSI): a piece is in a deal, and its index says so.

mod abi;
mod cbor;
mod json;
mod proof;

pub use abi::AbiError;
pub use cbor::{AggregationProof, AuxData, CborError, VerifierData};
pub use proof::{Branch, InclusionProof, MAX_PATH, VerifyError};
