//! Reading one node: what it is, with all that must agree inside it checked.

use ::cid::Cid;

use super::dag_pb::{Link, Node, NodeError};
use super::data::{Data, DataError, Kind};
use super::hamt::MURMUR3_X64_64;
use super::name::NameError;
use crate::block::{BlockError, Blocks, DAG_PB, RAW, fetch};

/// A UnixFS DAG that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A block could not be had.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// Neither raw nor dag-pb.
    #[error("block {cid} has codec 0x{codec:x}; UnixFS is raw (0x55) or dag-pb (0x70)")]
    Codec {
        /// The block.
        cid: Box<Cid>,
        /// Its codec.
        codec: u64,
    },
    /// No dag-pb node.
    #[error("block {cid} is malformed")]
    Node {
        /// The block.
        cid: Box<Cid>,
        /// What is wrong.
        source: NodeError,
    },
    /// No UnixFS message.
    #[error("block {cid} is malformed")]
    Data {
        /// The block.
        cid: Box<Cid>,
        /// What is wrong.
        source: DataError,
    },
    /// Parts of a node that do not agree.
    #[error("block {cid} is inconsistent: {what}")]
    Inconsistent {
        /// The block.
        cid: Box<Cid>,
        /// What does not agree.
        what: &'static str,
    },
    /// A name that must not be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A path, or an operation, for something else.
    #[error("{cid} is {found}, not {wanted}")]
    NotA {
        /// The node.
        cid: Box<Cid>,
        /// What it is.
        found: &'static str,
        /// What was wanted.
        wanted: &'static str,
    },
    /// No such entry.
    #[error("{name:?} is not in directory {directory}")]
    NotFound {
        /// The directory.
        directory: Box<Cid>,
        /// The name looked for.
        name: String,
    },
    /// More entries, levels or bytes than the caller allows.
    #[error("the DAG has more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The cap.
        limit: u64,
    },
}

/// A shard of a large directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Links; names begin with the slot as hex digits.
    pub links: Vec<Link>,
    /// log2 of the width: hash bits this level uses.
    pub bits: u32,
    /// Hex digits before each name.
    pub prefix_len: usize,
}

/// A decoded UnixFS node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnixNode {
    /// Bytes of a file, in a raw block or the node itself, without links.
    Bytes(Vec<u8>),
    /// Part of a file: inline bytes, then the parts with the bytes each holds.
    File {
        /// Bytes before the first part.
        inline: Vec<u8>,
        /// Parts and their lengths in file bytes.
        parts: Vec<(Cid, u64)>,
        /// Sum of all.
        file_bytes: u64,
    },
    /// A directory with its entries.
    Directory(Vec<Link>),
    /// A shard of a directory.
    Shard(Shard),
    /// A symbolic link with its target.
    Symlink(String),
}

impl UnixNode {
    /// Fetches and decodes a node.
    ///
    /// # Errors
    /// [`ReadError`] when it cannot be had or read.
    pub fn load<B: Blocks + ?Sized>(blocks: &B, cid: &Cid) -> Result<Self, ReadError> {
        Self::decode(cid, fetch(blocks, cid)?)
    }

    /// Decodes a block.
    ///
    /// # Errors
    /// [`ReadError`] when it is no UnixFS node, or its sizes do not agree.
    pub fn decode(cid: &Cid, block: Vec<u8>) -> Result<Self, ReadError> {
        let boxed = || Box::new(*cid);
        match cid.codec() {
            RAW => return Ok(Self::Bytes(block)),
            DAG_PB => {}
            codec => return Err(ReadError::Codec { cid: boxed(), codec }),
        }
        let node = Node::decode(&block).map_err(|source| ReadError::Node { cid: boxed(), source })?;
        let message = node.data.as_deref().unwrap_or_default();
        let data = Data::decode(message).map_err(|source| ReadError::Data { cid: boxed(), source })?;
        let inconsistent = |what| ReadError::Inconsistent { cid: boxed(), what };
        match data.kind {
            Kind::File | Kind::Raw => file(node.links, data).map_err(inconsistent),
            Kind::Directory => Ok(Self::Directory(node.links)),
            Kind::HamtShard => shard(node.links, &data).map_err(inconsistent),
            Kind::Symlink => match String::from_utf8(data.bytes.unwrap_or_default()) {
                Ok(target) => Ok(Self::Symlink(target)),
                Err(_) => Err(inconsistent("its target is not UTF-8")),
            },
            Kind::Metadata => Err(inconsistent("it is metadata, which nothing can be read from")),
        }
    }

    /// What it is, for messages.
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        match self {
            Self::Bytes(_) | Self::File { .. } => "a file",
            Self::Directory(_) | Self::Shard(_) => "a directory",
            Self::Symlink(_) => "a symbolic link",
        }
    }
}

fn file(links: Vec<Link>, data: Data) -> Result<UnixNode, &'static str> {
    let inline = data.bytes.unwrap_or_default();
    if links.len() != data.block_bytes.len() {
        return Err("it has not one size per part");
    }
    let sum = data.block_bytes.iter().try_fold(inline.len() as u64, |sum, &size| sum.checked_add(size));
    let file_bytes = sum.ok_or("its sizes overflow")?;
    // Old writers left the total out of single nodes; when it is there it must be right.
    if data.file_bytes.is_some_and(|claimed| claimed != file_bytes) {
        return Err("its parts do not add up to its size");
    }
    if links.is_empty() {
        return Ok(UnixNode::Bytes(inline));
    }
    let parts = links.into_iter().map(|link| link.cid).zip(data.block_bytes).collect();
    Ok(UnixNode::File { inline, parts, file_bytes })
}

fn shard(links: Vec<Link>, data: &Data) -> Result<UnixNode, &'static str> {
    let fanout = data.fanout.unwrap_or(0);
    if data.hash_type != Some(MURMUR3_X64_64) {
        return Err("its name hash is not murmur3-x64-64");
    }
    if !fanout.is_power_of_two() || !(8..=1024).contains(&fanout) {
        return Err("its width is not a power of two from 8 to 1024");
    }
    if links.len() as u64 > fanout {
        return Err("it has more links than slots");
    }
    let prefix_len = format!("{:X}", fanout - 1).len();
    if links.iter().any(|link| slot_of(link, prefix_len).is_none_or(|slot| slot >= fanout)) {
        return Err("the name of a link does not begin with its slot");
    }
    Ok(UnixNode::Shard(Shard { links, bits: fanout.ilog2(), prefix_len }))
}

/// The slot a shard's link is in.
pub(crate) fn slot_of(link: &Link, prefix_len: usize) -> Option<u64> {
    let prefix = link.name.get(..prefix_len)?;
    let upper_hex = prefix.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    upper_hex.then(|| u64::from_str_radix(prefix, 16).ok()).flatten()
}

/// The links that belong to the entity itself: all parts of a file, the sub-shards of a directory, never
/// the entries of a directory.
///
/// A block that is no UnixFS node is an entity by itself: other codecs than dag-pb, and dag-pb of other formats.
///
/// # Errors
/// [`ReadError`] when the parts of a UnixFS node do not agree.
pub fn entity_links(cid: &Cid, block: &[u8]) -> Result<Vec<Cid>, ReadError> {
    if cid.codec() != DAG_PB {
        return Ok(Vec::new());
    }
    let node = match UnixNode::decode(cid, block.to_vec()) {
        Err(ReadError::Node { .. } | ReadError::Data { .. }) => return Ok(Vec::new()),
        node => node?,
    };
    Ok(match node {
        UnixNode::File { parts, .. } => parts.into_iter().map(|(cid, _)| cid).collect(),
        UnixNode::Shard(Shard { links, prefix_len, .. }) => {
            links.into_iter().filter(|link| link.name.len() == prefix_len).map(|link| link.cid).collect()
        }
        UnixNode::Bytes(_) | UnixNode::Directory(_) | UnixNode::Symlink(_) => Vec::new(),
    })
}
