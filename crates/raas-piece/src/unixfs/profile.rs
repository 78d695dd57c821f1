//! Named sets of import parameters: same profile and bytes, same CID, in any conforming software.

use ::cid::Version;

use crate::block::MAX_BLOCK_BYTES;

/// Room for a dag-pb leaf's own fields beside its chunk.
const LEAF_OVERHEAD_BYTES: usize = 64;
/// Most links of a file node: at about 60 bytes each, the node stays a block.
const MAX_LINKS: usize = 16_384;

/// Import parameters that make no usable DAG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Chunks must be blocks.
    #[error("chunk size {0} is outside 1..=2097088 bytes")]
    Chunk(usize),
    /// A node over one link would never end.
    #[error("{0} links per node is outside 2..=16384")]
    Links(usize),
    /// CIDv0 cannot name raw leaves' roots.
    #[error("raw leaves need CIDv1")]
    RawLeaves,
}

/// How the size of a directory block is estimated before it is sharded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShardEstimate {
    /// Exact length of the block.
    BlockBytes,
    /// Name and CID bytes of the links only (Kubo before 0.40).
    LinkBytes,
}

/// Import parameters. Layout is always balanced, hash always SHA-256, shards always 256 wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Profile {
    /// Name for users and records.
    pub(crate) name: &'static str,
    /// File bytes per leaf.
    pub(crate) chunk_bytes: usize,
    /// Links per file node.
    pub(crate) max_links: usize,
    /// Leaves are raw blocks, not dag-pb nodes.
    pub(crate) raw_leaves: bool,
    /// Version of the CIDs.
    pub(crate) version: Version,
    /// A directory whose estimate is over this is sharded.
    pub(crate) shard_over_bytes: usize,
    /// What is estimated.
    pub(crate) shard_estimate: ShardEstimate,
}

impl Profile {
    /// The default (IPIP-0499): CIDv1, 1 MiB raw leaves, 1024 links.
    pub const UNIXFS_V1_2025: Self = Self {
        name: "unixfs-v1-2025",
        chunk_bytes: 1 << 20,
        max_links: 1024,
        raw_leaves: true,
        version: Version::V1,
        shard_over_bytes: 256 << 10,
        shard_estimate: ShardEstimate::BlockBytes,
    };

    /// What IPFS software made for its first ten years (IPIP-0499): CIDv0, 256 KiB dag-pb leaves, 174 links.
    pub const UNIXFS_V0_2015: Self = Self {
        name: "unixfs-v0-2015",
        chunk_bytes: 256 << 10,
        max_links: 174,
        raw_leaves: false,
        version: Version::V0,
        shard_over_bytes: 256 << 10,
        shard_estimate: ShardEstimate::LinkBytes,
    };

    /// `ipfs add --cid-version=1` of the same years: CIDv1, 256 KiB raw leaves, 174 links.
    pub const KUBO_CIDV1_256K: Self = Self {
        name: "kubo-cidv1-256KiB-174",
        raw_leaves: true,
        version: Version::V1,
        ..Self::UNIXFS_V0_2015
    };

    /// All named profiles, the default first: the order in which a client's CID is tried.
    pub const ALL: [Self; 3] = [Self::UNIXFS_V1_2025, Self::KUBO_CIDV1_256K, Self::UNIXFS_V0_2015];

    /// The default with another chunk size, width, leaves and CID version, under the name `custom`.
    ///
    /// # Errors
    /// [`ProfileError`] for parameters that make no usable DAG.
    pub fn custom(
        chunk_bytes: usize,
        max_links: usize,
        raw_leaves: bool,
        version: Version,
    ) -> Result<Self, ProfileError> {
        if !(1..=MAX_BLOCK_BYTES - LEAF_OVERHEAD_BYTES).contains(&chunk_bytes) {
            return Err(ProfileError::Chunk(chunk_bytes));
        }
        if !(2..=MAX_LINKS).contains(&max_links) {
            return Err(ProfileError::Links(max_links));
        }
        if raw_leaves && version == Version::V0 {
            return Err(ProfileError::RawLeaves);
        }
        Ok(Self { name: "custom", chunk_bytes, max_links, raw_leaves, version, ..Self::UNIXFS_V1_2025 })
    }

    /// Name for users and records.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// File bytes per leaf.
    #[must_use]
    pub const fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Version of the CIDs.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// A profile by its name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name == name)
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::UNIXFS_V1_2025
    }
}
