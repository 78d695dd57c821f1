//! Blocks in memory, for small DAGs.

use std::collections::HashMap;

use ::cid::Cid;
use multihash::Multihash;

use super::check::BlockError;
use super::store::{BlockSink, Blocks, SinkError};

/// A map of blocks, found by hash whatever the CID's version and codec.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlocks {
    blocks: HashMap<Multihash<64>, Vec<u8>>,
}

impl MemoryBlocks {
    /// How many distinct blocks are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Forgets a block; true when it was held.
    pub fn remove(&mut self, cid: &Cid) -> bool {
        self.blocks.remove(cid.hash()).is_some()
    }
}

impl Blocks for MemoryBlocks {
    fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>, BlockError> {
        Ok(self.blocks.get(cid.hash()).cloned())
    }
}

impl BlockSink for MemoryBlocks {
    fn put(&mut self, cid: &Cid, data: &[u8]) -> Result<(), SinkError> {
        self.blocks.entry(*cid.hash()).or_insert_with(|| data.to_vec());
        Ok(())
    }
}
