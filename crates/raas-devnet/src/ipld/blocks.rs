//! Blocks that were made, by CID, in two generations so that memory stays bounded.

use crate::codec::dag_cbor_blake2b;
use cid::Cid;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes of one generation.
const GENERATION_MAX: usize = 256 << 20;

/// Where blocks go.
pub(super) trait Put {
    /// Keeps a block and answers its CID.
    fn put(&mut self, block: Vec<u8>) -> Cid;
}

/// What is known of a part of a state that was made before: its CID and what its owner wants to know besides.
type Made = HashMap<(u64, usize, i64, u32), super::miner::DeadlineHead>;

/// The memory of blocks.
#[derive(Debug, Default)]
pub struct Blocks {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    young: HashMap<Cid, Arc<[u8]>>,
    old: HashMap<Cid, Arc<[u8]>>,
    bytes: usize,
    /// Deadlines that were made, by miner, deadline, last change and branch; forgotten with the old generation.
    pub(super) made: Made,
}

/// A copy of a world makes its blocks anew.
impl Clone for Blocks {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Blocks {
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block with this CID, if it was made and is still kept.
    #[must_use]
    pub fn get(&self, cid: &Cid) -> Option<Arc<[u8]>> {
        let kept = self.kept();
        kept.young.get(cid).or_else(|| kept.old.get(cid)).cloned()
    }
}

impl Put for Kept {
    fn put(&mut self, block: Vec<u8>) -> Cid {
        let cid = dag_cbor_blake2b(&block);
        if self.young.contains_key(&cid) {
            return cid;
        }
        if self.bytes > GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
            // What was made may have lost its blocks by the next time: it is made again.
            self.made.clear();
            self.bytes = 0;
        }
        self.bytes += block.len();
        self.young.insert(cid, block.into());
        cid
    }
}
