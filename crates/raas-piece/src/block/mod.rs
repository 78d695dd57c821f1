//! Blocks: bytes named by their hash. Checks, links, and the two traits through which blocks flow.

mod check;
mod links;
mod memory;
mod store;
mod walk;

pub use check::{
    BlockError, DAG_CBOR, DAG_PB, IDENTITY, MAX_BLOCK_BYTES, RAW, SHA2_256, cid_v0, cid_v1, digest_of,
    identity_bytes, same_block, sha256, verify,
};
pub(crate) use check::{cid_of_digest, exact_cid};
pub(crate) use links::through_identities;
pub use links::{LinksError, MAX_LINKS, links};
pub use memory::MemoryBlocks;
pub use store::{BlockSink, Blocks, SinkError, fetch};
pub(crate) use walk::{Walk, WalkError};
