//! Tipsets, computed when asked for from seed and epoch, the null rounds between them, and the branches that were left.
//!
//! One to several blocks per tipset. A block's CID carries its epoch in the first eight bytes of the digest and its
//! branch in the next four (the rest is a hash of both, its place and the seed), so that a key names its tipset without
//! an index of millions of entries. A [`Chain::fork`] gives every later epoch other keys; the keys that were left are
//! still known, with the parents they had, since those who watch are told of them.

use crate::codec::dag_cbor_blake2b;
use cid::Cid;
use multihash::Multihash;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// CBOR of IPLD, the codec of every chain object.
const DAG_CBOR: u64 = 0x71;
/// Multihash code of blake2b-256.
const BLAKE2B_256: u64 = 0xb220;
/// How many left branches are remembered.
const FORKS_KEPT: usize = 64;
/// How far back a block hash is searched that this process has not told before.
const HASH_SEARCH: i64 = 5_760;
/// Block hashes remembered by height.
const HASHES_KEPT: usize = 200_000;

/// The clock and the shape of the chain.
#[derive(Clone, Debug)]
pub struct Chain {
    seed: u64,
    /// The true epoch; a tipset exists here unless the epoch is a null round.
    clock: i64,
    genesis_unix: u64,
    block_delay_secs: u64,
    finality_lag: i64,
    /// The most blocks of a tipset.
    blocks_max: u64,
    shape: Shape,
    /// The base fee in attoFIL from these epochs on.
    base_fees: BTreeMap<i64, u64>,
    /// Branches given out so far.
    branches: u32,
    /// Clock and shape of the chain before its last forks.
    left: VecDeque<(i64, Shape)>,
    /// Block hashes that were told: only a memory, it changes no answer within the search distance.
    hashes: Arc<Mutex<Hashes>>,
}

/// Block hash -> height and branch.
type Hashes = HashMap<[u8; 32], (i64, u32)>;

/// Which epochs have tipsets, and of which branch.
#[derive(Clone, Debug, Default)]
struct Shape {
    /// Null rounds as disjoint ranges: first epoch -> last epoch.
    nulls: BTreeMap<i64, i64>,
    /// Where branches begin: the tipsets above the key are of the branch, up to the next key.
    branches: BTreeMap<i64, u32>,
}

/// One tipset. `parent` is the height of its parent tipset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tipset {
    /// Epoch, also the eth block number.
    pub height: i64,
    /// Height of the parent tipset; -1 for genesis.
    pub parent: i64,
    /// Block CIDs, one to several.
    pub key: Vec<Cid>,
    /// Block CIDs of the parent; none for genesis.
    pub parent_key: Vec<Cid>,
    /// Unix seconds.
    pub timestamp: u64,
    /// Which branch it belongs to; branches are numbered as they begin.
    pub branch: u32,
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
    /// A tipset that was on the chain and is no more; its state is not kept.
    #[error("failed to load state of tipset {0}, which was reverted: ipld: could not find its state root")]
    Reverted(String),
    /// No tipset at exactly this epoch.
    #[error("requested epoch was a null round ({0})")]
    NullRound(i64),
}

impl Shape {
    fn null_range(&self, epoch: i64) -> Option<(i64, i64)> {
        let range = self.nulls.range(..=epoch).next_back();
        range.filter(|(_, last)| **last >= epoch).map(|(first, last)| (*first, *last))
    }

    fn at_or_before(&self, epoch: i64) -> i64 {
        self.null_range(epoch).map_or(epoch, |(first, _)| first - 1)
    }

    fn parent(&self, height: i64) -> i64 {
        if height <= 0 { -1 } else { self.at_or_before(height - 1) }
    }

    fn branch(&self, height: i64) -> u32 {
        self.branches.range(..height).next_back().map_or(0, |(_, branch)| *branch)
    }

    /// Makes `first..=last` null. Touching and overlapping ranges are merged, so that a lookup needs one step.
    fn add_nulls(&mut self, first: i64, last: i64) {
        let (mut first, mut last) = (first, last);
        while let Some((start, end)) = self.nulls.range(..=last + 1).next_back().map(|(a, b)| (*a, *b)) {
            if end + 1 < first {
                break;
            }
            self.nulls.remove(&start);
            (first, last) = (first.min(start), last.max(end));
        }
        self.nulls.insert(first, last);
    }
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
            blocks_max: u64::from(config.blocks_per_tipset.max(1)),
            shape: Shape::default(),
            base_fees: BTreeMap::new(),
            branches: 0,
            left: VecDeque::new(),
            hashes: Arc::default(),
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
        self.shape.null_range(epoch).is_some()
    }

    /// The height of the tipset at `epoch`, or the closest earlier one.
    #[must_use]
    pub fn at_or_before(&self, epoch: i64) -> i64 {
        self.shape.at_or_before(epoch)
    }

    /// The height of the tipset at `epoch`, or the closest later one; it may lie after the clock.
    #[must_use]
    pub fn at_or_after(&self, epoch: i64) -> i64 {
        self.shape.null_range(epoch).map_or(epoch, |(_, last)| last + 1)
    }

    /// The height of the parent of the tipset at `height`; -1 for genesis.
    #[must_use]
    pub fn parent(&self, height: i64) -> i64 {
        self.shape.parent(height)
    }

    /// The tipset at exactly `height`, up to the head.
    pub fn tipset(&self, height: i64) -> Result<Tipset, TipsetError> {
        self.tipset_as(height, &|_| 0)
    }

    /// As [`Chain::tipset`], with the keys that an endpoint shows which does not tell the true ones: `variant` of a
    /// height is 0 for the truth.
    pub fn tipset_as(&self, height: i64, variant: &dyn Fn(i64) -> u64) -> Result<Tipset, TipsetError> {
        if height < 0 {
            return Err(TipsetError::Negative(height));
        }
        if height > self.clock {
            return Err(TipsetError::Future { asked: height, head: self.head() });
        }
        if self.is_null(height) {
            return Err(TipsetError::NullRound(height));
        }
        Ok(self.tipset_in(&self.shape, height, variant))
    }

    fn tipset_in(&self, shape: &Shape, height: i64, variant: &dyn Fn(i64) -> u64) -> Tipset {
        let (parent, branch) = (shape.parent(height), shape.branch(height));
        let keys = |height: i64, branch| self.block_cids(height, branch, variant(height));
        let parent_key = if parent < 0 { Vec::new() } else { keys(parent, shape.branch(parent)) };
        Tipset {
            height,
            parent,
            key: keys(height, branch),
            parent_key,
            timestamp: self.timestamp(height),
            branch,
        }
    }

    /// The height of the tipset with this key; an empty key is the head.
    pub fn height_of_key(&self, key: &[Cid]) -> Result<i64, TipsetError> {
        if key.is_empty() {
            return Ok(self.head());
        }
        self.height_of_key_as(key, &|_| 0)
    }

    /// As [`Chain::height_of_key`] for a key that is not empty, of an endpoint with keys of its own.
    pub fn height_of_key_as(&self, key: &[Cid], variant: &dyn Fn(i64) -> u64) -> Result<i64, TipsetError> {
        let tipset = self.tipset_of_key_as(key, variant)?;
        if self.shape.branch(tipset.height) == tipset.branch {
            Ok(tipset.height)
        } else {
            Err(TipsetError::Reverted(name(key)))
        }
    }

    /// The tipset with this key, also one that was reverted.
    pub fn tipset_of_key_as(&self, key: &[Cid], variant: &dyn Fn(i64) -> u64) -> Result<Tipset, TipsetError> {
        let unknown = || TipsetError::UnknownKey(name(key));
        let (height, branch) = key.first().and_then(place).ok_or_else(unknown)?;
        if height < 0 || self.block_cids(height, branch, variant(height)) != key {
            return Err(unknown());
        }
        if self.shape.branch(height) == branch && height <= self.clock && !self.is_null(height) {
            return Ok(self.tipset_in(&self.shape, height, variant));
        }
        let shape = self.shape_with(height, branch).ok_or_else(unknown)?;
        Ok(self.tipset_in(shape, height, variant))
    }

    /// The shape of the chain when `height` was last of `branch`.
    fn shape_with(&self, height: i64, branch: u32) -> Option<&Shape> {
        let was = |(clock, shape): &&(i64, Shape)| {
            height <= *clock && shape.branch(height) == branch && shape.null_range(height).is_none()
        };
        self.left.iter().rev().find(was).map(|(_, shape)| shape)
    }

    /// The height that a block's CID names, if it is on the chain as it is.
    #[must_use]
    pub fn height_of_block(&self, block: &Cid) -> Option<i64> {
        let (height, branch) = place(block)?;
        let there = (0..=self.clock).contains(&height) && !self.is_null(height);
        (there && self.shape.branch(height) == branch).then_some(height)
    }

    /// The way from a tipset, by height and branch, to the one at `end` of the chain as it is: the tipsets that are left,
    /// newest first, and those that come, oldest first. `None` if it is longer than `most`, or leads over branches that
    /// are forgotten.
    #[must_use]
    pub fn path(
        &self,
        from: (i64, u32),
        end: i64,
        most: usize,
        variant: &dyn Fn(i64) -> u64,
    ) -> Option<(Vec<Tipset>, Vec<Tipset>)> {
        let (mut at, mut left) = (from, Vec::new());
        while self.shape.branch(at.0) != at.1 || self.is_null(at.0) || at.0 > end {
            if left.len() >= most || at.0 < 0 {
                return None;
            }
            let here = self.shape.branch(at.0) == at.1 && !self.is_null(at.0);
            let shape = if here { &self.shape } else { self.shape_with(at.0, at.1)? };
            left.push(self.tipset_in(shape, at.0, variant));
            let parent = shape.parent(at.0);
            at = (parent, shape.branch(parent));
        }
        let mut new = Vec::new();
        let mut height = self.at_or_after(at.0 + 1);
        while height <= end {
            if new.len() >= most {
                return None;
            }
            new.push(self.tipset_in(&self.shape, height, variant));
            height = self.at_or_after(height + 1);
        }
        Some((left, new))
    }

    /// The CIDs of the blocks at `height` of the chain as it is.
    #[must_use]
    pub fn key(&self, height: i64) -> Vec<Cid> {
        self.block_cids(height, self.shape.branch(height), 0)
    }

    /// Which branch the tipset at `height` is of.
    #[must_use]
    pub fn branch(&self, height: i64) -> u32 {
        self.shape.branch(height)
    }

    /// The hash of eth block `height`: the 32-byte digest of its tipset key's CID.
    #[must_use]
    pub fn eth_hash(&self, height: i64) -> [u8; 32] {
        self.eth_hash_as(height, 0)
    }

    /// As [`Chain::eth_hash`], in a variant of the keys.
    #[must_use]
    pub fn eth_hash_as(&self, height: i64, variant: u64) -> [u8; 32] {
        let branch = self.shape.branch(height);
        let hash = key_digest(&self.block_cids(height, branch, variant));
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if hashes.len() < HASHES_KEPT {
            hashes.insert(hash, (height, branch));
        }
        hash
    }

    /// The hash that eth block `height` had in `branch`.
    #[must_use]
    pub fn eth_hash_in(&self, height: i64, branch: u32) -> [u8; 32] {
        key_digest(&self.block_cids(height, branch, 0))
    }

    /// The height of the eth block with this hash on the chain as it is, in an endpoint's variant of the keys.
    #[must_use]
    pub fn height_of_eth_hash(&self, hash: &[u8; 32], variant: &dyn Fn(i64) -> u64) -> Option<i64> {
        let told = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).get(hash).copied();
        if let Some((height, branch)) = told {
            let there = height <= self.clock && !self.is_null(height) && self.shape.branch(height) == branch;
            return (there && self.eth_hash_as(height, variant(height)) == *hash).then_some(height);
        }
        let mut height = self.head();
        let oldest = (height - HASH_SEARCH).max(0);
        while height >= oldest {
            if self.eth_hash_as(height, variant(height)) == *hash {
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

    /// The base fee of messages in the tipset at `height`, in attoFIL.
    #[must_use]
    pub fn base_fee(&self, height: i64) -> u64 {
        self.base_fees.range(..=height).next_back().map_or(crate::fevm::BASE_FEE, |(_, fee)| *fee)
    }

    /// Sets the base fee from the next epoch on. No message shapes it here, so no branch undoes it.
    pub(super) fn set_base_fee(&mut self, fee: u64) {
        self.base_fees.split_off(&(self.clock + 1));
        self.base_fees.insert(self.clock + 1, fee);
    }

    /// How many blocks the tipset at `height` has.
    #[must_use]
    pub fn block_count(&self, height: i64) -> u64 {
        self.count_in(height, self.shape.branch(height), 0)
    }

    fn count_in(&self, height: i64, branch: u32, variant: u64) -> u64 {
        if self.blocks_max == 1 || height <= 0 {
            return 1;
        }
        let drawn = self.derive(&format!("blocks {branch} {variant}"), height);
        1 + u64::from(drawn.first().copied().unwrap_or(0)) % self.blocks_max
    }

    fn block_cids(&self, height: i64, branch: u32, variant: u64) -> Vec<Cid> {
        let count = self.count_in(height, branch, variant);
        (0..count).map(|index| self.block_cid(height, branch, variant, index)).collect()
    }

    fn block_cid(&self, height: i64, branch: u32, variant: u64, index: u64) -> Cid {
        let mut digest: [u8; 32] = self.derive(&format!("block {branch} {variant} {index}"), height);
        let place = height.to_be_bytes().into_iter().chain(branch.to_be_bytes());
        digest.iter_mut().zip(place).for_each(|(byte, own)| *byte = own);
        chain_cid(&digest)
    }

    /// A CID for another object of this epoch (`what` names it), derived from seed, epoch and branch alone.
    #[must_use]
    pub fn object_cid(&self, what: &str, epoch: i64) -> Cid {
        self.object_cid_in(what, epoch, self.shape.branch(epoch))
    }

    /// As [`Chain::object_cid`], in a branch.
    #[must_use]
    pub fn object_cid_in(&self, what: &str, epoch: i64, branch: u32) -> Cid {
        match branch {
            0 => chain_cid(&self.derive(what, epoch)),
            branch => chain_cid(&self.derive(&format!("{what} {branch}"), epoch)),
        }
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
            self.shape.add_nulls(first, first + count - 1);
        }
        self.at_or_after(first)
    }

    /// Leaves the branch above `base`, a tipset of the chain: from now on later epochs have other keys. The clock goes
    /// back to `base`; null rounds stay where they are.
    pub(super) fn fork(&mut self, base: i64) {
        self.branches += 1;
        let mut branches = self.shape.branches.clone();
        branches.retain(|from, _| *from < base);
        branches.insert(base, self.branches);
        let next = Shape { nulls: self.shape.nulls.clone(), branches };
        let left = std::mem::replace(&mut self.shape, next);
        self.left.push_back((self.clock, left));
        if self.left.len() > FORKS_KEPT {
            self.left.pop_front();
        }
        self.clock = base;
    }

    /// Makes epochs null, also ones between the clock and where it was before a fork.
    pub(super) fn set_nulls(&mut self, first: i64, last: i64) {
        if first <= last {
            self.shape.add_nulls(first, last);
        }
    }
}

/// Height and branch that a block's CID carries.
fn place(block: &Cid) -> Option<(i64, u32)> {
    let (height, rest) = block.hash().digest().split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*height), u32::from_be_bytes(*rest.first_chunk::<4>()?)))
}

fn name(key: &[Cid]) -> String {
    key.first().map(ToString::to_string).unwrap_or_default()
}

/// The digest of a tipset key's CID, which hashes the CBOR byte string of the concatenated block CIDs.
fn key_digest(key: &[Cid]) -> [u8; 32] {
    let blocks: Vec<u8> = key.iter().flat_map(Cid::to_bytes).collect();
    let mut cbor = Vec::with_capacity(blocks.len() + 3);
    match u8::try_from(blocks.len()) {
        Ok(length) => cbor.extend([0x58, length]),
        Err(_) => {
            cbor.push(0x59);
            cbor.extend(u16::try_from(blocks.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    cbor.extend_from_slice(&blocks);
    dag_cbor_blake2b(&cbor).hash().digest().try_into().expect("blake2b-256 has 32 bytes")
}

/// The CID of a chain object with this digest: version 1, dag-cbor, blake2b-256.
fn chain_cid(digest: &[u8; 32]) -> Cid {
    let hash = Multihash::<64>::wrap(BLAKE2B_256, digest).expect("32 bytes fit a 64-byte multihash");
    Cid::new_v1(DAG_CBOR, hash)
}
