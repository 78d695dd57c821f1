//! Bytes and commitments: Fr32, CommP, piece CIDs, data segments with inclusion proofs, CAR and UnixFS.
//!
//! This crate owns no state and knows nothing of deals. Everything it reads may be hostile: decoders
//! have caps, return typed errors and never panic. Everything it writes is canonical. Streams run in flat
//! memory, whatever their length.

// Unsafe code is in `sha` alone, for vector instructions; every other module is checked to have none.
#![deny(unsafe_code)]
#![deny(clippy::undocumented_unsafe_blocks)]

pub mod block;
pub mod car;
pub mod cid;
pub mod commp;
pub mod fr32;
pub mod inclusion;
pub mod pack;
pub mod segment;
pub mod sha;
pub mod size;
pub mod tree;
pub mod unixfs;
mod varint;

pub use commp::{Commitment, PieceInfo};
pub use size::PaddedSize;
