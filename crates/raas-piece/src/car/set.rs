//! The blocks of a DAG that is spread over several CARs, as one.

use ::cid::Cid;

use crate::block::{BlockError, Blocks};

/// Sources of blocks, asked one after the other.
#[derive(Debug, Clone)]
pub struct BlockSet<B> {
    parts: Vec<B>,
}

impl<B> BlockSet<B> {
    /// One source of many.
    #[must_use]
    pub const fn new(parts: Vec<B>) -> Self {
        Self { parts }
    }
}

impl<B: Blocks> Blocks for BlockSet<B> {
    fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>, BlockError> {
        for part in &self.parts {
            if let Some(block) = part.get(cid)? {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }
}
