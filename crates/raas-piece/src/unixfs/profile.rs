//! Named sets of import parameters: same profile and bytes, same CID, in any conforming software.

use ::cid::Version;

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
    pub name: &'static str,
    /// File bytes per leaf.
    pub chunk_bytes: usize,
    /// Links per file node.
    pub max_links: usize,
    /// Leaves are raw blocks, not dag-pb nodes.
    pub raw_leaves: bool,
    /// Version of the CIDs.
    pub version: Version,
    /// A directory whose estimate is over this is sharded.
    pub shard_over_bytes: usize,
    /// What is estimated.
    pub shard_estimate: ShardEstimate,
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
