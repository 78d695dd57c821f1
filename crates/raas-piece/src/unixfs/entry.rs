//! What importing gives and how it fails.

use ::cid::{Cid, Version};

use super::dag_pb::{Link, Node};
use super::data::{Data, Kind};
use super::name::NameError;
use super::profile::Profile;
use crate::block::{BlockSink, DAG_PB, SinkError, cid_v0, cid_v1};

/// A finished file, directory or symlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its root.
    pub cid: Cid,
    /// Bytes of all blocks below, duplicates counted: the Tsize of a link to it.
    pub dag_bytes: u64,
    /// File bytes below, duplicates counted.
    pub content_bytes: u64,
}

impl Entry {
    pub(crate) fn link(&self, name: String) -> Link {
        Link { cid: self.cid, name, tsize: self.dag_bytes }
    }
}

/// An import that could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A block could not be kept.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A name that cannot stand in a directory.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Two entries of one directory have the same name.
    #[error("{0:?} is given twice; give each path once")]
    Duplicate(String),
    /// Two different names have the same 64-bit hash in a sharded directory.
    #[error("{0:?} collides with another name in a sharded directory; rename it")]
    Collision(String),
    /// A file was written to, or ended, without being begun; or begun inside another.
    #[error("no file is open, or another one still is")]
    NotOpen,
}

/// Stores a dag-pb node and gives its CID and length.
pub(crate) fn put_node(
    profile: &Profile,
    node: &Node,
    sink: &mut (impl BlockSink + ?Sized),
) -> Result<(Cid, u64), SinkError> {
    let bytes = node.encode();
    let cid = match profile.version {
        Version::V0 => cid_v0(&bytes),
        Version::V1 => cid_v1(DAG_PB, &bytes),
    };
    sink.put(&cid, &bytes)?;
    Ok((cid, bytes.len() as u64))
}

/// Stores a symbolic link.
///
/// # Errors
/// [`SinkError`] when the block cannot be kept.
pub fn symlink(
    profile: &Profile,
    target: &str,
    sink: &mut (impl BlockSink + ?Sized),
) -> Result<Entry, SinkError> {
    let data = Data { bytes: Some(target.as_bytes().to_vec()), ..Data::new(Kind::Symlink) };
    let node = Node { links: Vec::new(), data: Some(data.encode()) };
    let (cid, dag_bytes) = put_node(profile, &node, sink)?;
    Ok(Entry { cid, dag_bytes, content_bytes: 0 })
}
