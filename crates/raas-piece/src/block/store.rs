//! Where blocks come from and where they go.

use std::io;
use std::sync::Arc;

use ::cid::Cid;

use super::check::{BlockError, identity_bytes};

/// A source of blocks by CID. Implementations give only bytes that match the CID.
pub trait Blocks {
    /// The bytes of a block; `None` when the source does not have it.
    ///
    /// # Errors
    /// [`BlockError`] when the source failed or held wrong bytes; absence is not an error.
    fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>, BlockError>;
}

impl<B: Blocks + ?Sized> Blocks for &B {
    fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>, BlockError> {
        (**self).get(cid)
    }
}

impl<B: Blocks + ?Sized> Blocks for Arc<B> {
    fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>, BlockError> {
        (**self).get(cid)
    }
}

impl<B: Blocks + ?Sized> Blocks for Box<B> {
    fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>, BlockError> {
        (**self).get(cid)
    }
}

/// The bytes of a block that must be there; identity CIDs carry their own.
///
/// # Errors
/// [`BlockError::Missing`] when the source does not have it, else what the source says.
pub fn fetch<B: Blocks + ?Sized>(blocks: &B, cid: &Cid) -> Result<Vec<u8>, BlockError> {
    if let Some(inside) = identity_bytes(cid) {
        return Ok(inside.to_vec());
    }
    blocks.get(cid)?.ok_or_else(|| BlockError::Missing { cid: Box::new(*cid) })
}

/// A place that takes blocks.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Writing failed (disk full is here).
    #[error("could not write a block")]
    Io(#[from] io::Error),
    /// The sink's size limit is reached.
    #[error("the data needs more than {limit_bytes} bytes; raise the piece limit or split the data")]
    Full {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// A block that cannot be stored.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// A consumer of blocks. The caller vouches that `data` hashes to `cid`.
pub trait BlockSink {
    /// Takes one block. A block given again is dropped.
    ///
    /// # Errors
    /// [`SinkError`] when it cannot be kept; the sink is then of no further use.
    fn put(&mut self, cid: &Cid, data: &[u8]) -> Result<(), SinkError>;
}

impl<S: BlockSink + ?Sized> BlockSink for &mut S {
    fn put(&mut self, cid: &Cid, data: &[u8]) -> Result<(), SinkError> {
        (**self).put(cid, data)
    }
}
