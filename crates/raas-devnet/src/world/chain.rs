//! Tipsets, computed when asked for from seed and epoch, and the null rounds between them.
//!
//! One block per tipset. A block's CID carries its epoch in the first eight bytes of the digest (the rest is a
//! hash of seed and epoch), so that a key names its tipset without an index of millions of entries.

use crate::codec::dag_cbor_blake2b;
use cid::Cid;
use multihash::Multihash;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// CBOR of IPLD, the codec of every chain object.
const DAG_CBOR: u64 = 0x71;
/// Multihash code of blake2b-256.
const BLAKE2B_256: u64 = 0xb220;

/// The clock and the shape of the chain.
#[derive(Clone, Debug)]
pub struct Chain {
    seed: u64,
    /// The true epoch; a tipset exists here unless the epoch is a null round.
    clock: i64,
    genesis_unix: u64,
    block_delay_secs: u64,
    finality_lag: i64,
    /// Null rounds as disjoint ranges: first epoch -> last epoch.
    nulls: BTreeMap<i64, i64>,
}

/// One tipset. `parent` is the height of its parent tipset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tipset {
    /// Epoch, also the eth block number.
    pub height: i64,
    /// Height of the parent tipset; -1 for genesis.
    pub parent: i64,
    /// Block CIDs (one).
    pub key: Vec<Cid>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// Why a tipset cannot be named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TipsetError {
    /// Asked for a height after the head.
    #[error("looking for tipset with height greater than start point, req: {asked}, head: {head}")]
    Future {
        /// The height asked for.
        asked: i64,
        /// The head.
        head: i64,
    },
    /// Asked for a height below zero.
    #[error("height {0} is negative")]
    Negative(i64),
    /// A key whose blocks this chain never had.
    #[error("loading tipset {0}: ipld: could not find {0}")]
    UnknownKey(String),
    /// No tipset at exactly this epoch.
    #[error("requested epoch was a null round ({0})")]
    NullRound(i64),
}

impl Chain {
    /// A chain whose head is at `config.start_height`.
    #[must_use]
    pub fn new(config: &crate::Config) -> Self {
        Self {
            seed: config.seed,
            clock: config.start_height,
            genesis_unix: config.genesis_unix(),
            block_delay_secs: config.block_delay_secs,
            finality_lag: config.finality_lag,
            nulls: BTreeMap::new(),
        }
    }

    /// The true epoch, null or not.
    #[must_use]
    pub const fn clock(&self) -> i64 {
        self.clock
    }

    /// The height of the newest tipset.
    #[must_use]
    pub fn head(&self) -> i64 {
        self.at_or_before(self.clock)
    }

    /// The newest tipset that cannot be reverted any more.
    #[must_use]
    pub fn finalized(&self) -> i64 {
        self.at_or_before(self.head().saturating_sub(self.finality_lag).max(0))
    }

    /// Whether `epoch` has no tipset.
    #[must_use]
    pub fn is_null(&self, epoch: i64) -> bool {
        self.null_range(epoch).is_some()
    }

    /// The height of the tipset at `epoch`, or the closest earlier one.
    #[must_use]
    pub fn at_or_before(&self, epoch: i64) -> i64 {
        self.null_range(epoch).map_or(epoch, |(first, _)| first - 1)
    }

    /// The height of the tipset at `epoch`, or the closest later one; it may lie after the clock.
    #[must_use]
    pub fn at_or_after(&self, epoch: i64) -> i64 {
        self.null_range(epoch).map_or(epoch, |(_, last)| last + 1)
    }

    /// The height of the parent of the tipset at `height`; -1 for genesis.
    #[must_use]
    pub fn parent(&self, height: i64) -> i64 {
        if height <= 0 { -1 } else { self.at_or_before(height - 1) }
    }

    /// The tipset at exactly `height`, up to the head.
    pub fn tipset(&self, height: i64) -> Result<Tipset, TipsetError> {
        if height < 0 {
            return Err(TipsetError::Negative(height));
        }
        if height > self.clock {
            return Err(TipsetError::Future { asked: height, head: self.head() });
        }
        if self.is_null(height) {
            return Err(TipsetError::NullRound(height));
        }
        Ok(Tipset {
            height,
            parent: self.parent(height),
            key: vec![self.block_cid(height)],
            timestamp: self.timestamp(height),
        })
    }

    /// The height of the tipset with this key; an empty key is the head.
    pub fn height_of_key(&self, key: &[Cid]) -> Result<i64, TipsetError> {
        match key {
            [] => Ok(self.head()),
            [block] => block
                .hash()
                .digest()
                .first_chunk::<8>()
                .map(|bytes| i64::from_be_bytes(*bytes))
                .filter(|height| (0..=self.head()).contains(height) && !self.is_null(*height))
                .filter(|height| self.block_cid(*height) == *block)
                .ok_or_else(|| TipsetError::UnknownKey(block.to_string())),
            [block, ..] => Err(TipsetError::UnknownKey(block.to_string())),
        }
    }

    /// The hash of eth block `height`: the 32-byte digest of its tipset key's CID.
    #[must_use]
    pub fn eth_hash(&self, height: i64) -> [u8; 32] {
        // The key's CID hashes the CBOR byte string of the concatenated block CIDs.
        let block = self.block_cid(height).to_bytes();
        let mut cbor = Vec::with_capacity(block.len() + 2);
        cbor.push(0x58);
        cbor.push(u8::try_from(block.len()).unwrap_or(u8::MAX));
        cbor.extend_from_slice(&block);
        dag_cbor_blake2b(&cbor).hash().digest().try_into().expect("blake2b-256 has 32 bytes")
    }

    /// The height of the eth block with this hash, searched from the head back.
    #[must_use]
    pub fn height_of_eth_hash(&self, hash: &[u8; 32]) -> Option<i64> {
        let mut height = self.head();
        while height >= 0 {
            if self.eth_hash(height) == *hash {
                return Some(height);
            }
            height = self.parent(height);
        }
        None
    }

    /// Unix seconds of `epoch`.
    #[must_use]
    pub fn timestamp(&self, epoch: i64) -> u64 {
        let epochs = u64::try_from(epoch).unwrap_or(0);
        self.genesis_unix.saturating_add(epochs.saturating_mul(self.block_delay_secs))
    }

    /// The CID of the one block at `height`.
    #[must_use]
    pub fn block_cid(&self, height: i64) -> Cid {
        let mut digest: [u8; 32] = self.derive("block", height);
        if let Some(front) = digest.first_chunk_mut::<8>() {
            *front = height.to_be_bytes();
        }
        chain_cid(&digest)
    }

    /// A CID for another object of this epoch (`what` names it), derived from seed and epoch alone.
    #[must_use]
    pub fn object_cid(&self, what: &str, epoch: i64) -> Cid {
        chain_cid(&self.derive(what, epoch))
    }

    /// 32 bytes derived from the seed.
    #[must_use]
    pub fn derive(&self, what: &str, number: i64) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.seed.to_be_bytes());
        hasher.update(what.as_bytes());
        hasher.update([0]);
        hasher.update(number.to_be_bytes());
        hasher.finalize().into()
    }

    /// Moves the clock to `epoch`. Only the event loop does this.
    pub(super) fn set_clock(&mut self, epoch: i64) {
        self.clock = epoch;
    }

    /// Declares the next `count` epochs that are not yet null to be null rounds, and tells the height of the
    /// next tipset.
    pub(super) fn add_nulls(&mut self, count: i64) -> i64 {
        let first = self.at_or_after(self.clock + 1);
        if count > 0 {
            // Touching ranges are merged, so that a lookup needs one step.
            let start = self
                .nulls
                .range(..first)
                .next_back()
                .filter(|(_, last)| **last + 1 == first)
                .map_or(first, |(start, _)| *start);
            self.nulls.insert(start, first + count - 1);
        }
        first + count.max(0)
    }

    fn null_range(&self, epoch: i64) -> Option<(i64, i64)> {
        self.nulls
            .range(..=epoch)
            .next_back()
            .filter(|(_, last)| **last >= epoch)
            .map(|(first, last)| (*first, *last))
    }
}

/// The CID of a chain object with this digest: version 1, dag-cbor, blake2b-256.
fn chain_cid(digest: &[u8; 32]) -> Cid {
    let hash = Multihash::<64>::wrap(BLAKE2B_256, digest).expect("32 bytes fit a 64-byte multihash");
    Cid::new_v1(DAG_CBOR, hash)
}
