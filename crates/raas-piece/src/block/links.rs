//! The links out of a block, by its codec.

use ::cid::Cid;
use ipld_core::codec::Links as _;
use serde_ipld_dagcbor::codec::DagCborCodec;

use super::check::{DAG_CBOR, DAG_PB, RAW, identity_bytes};
use crate::unixfs::dag_pb;

/// The most links that one block may have. As many names with hashes do not fit the largest block; only links to
/// identity CIDs, or without names, do.
pub const MAX_LINKS: usize = 1 << 16;

/// A block whose links cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    /// The block is no valid node of its codec.
    #[error("block {cid} is not valid for its codec: {reason}")]
    Malformed {
        /// The block.
        cid: Box<Cid>,
        /// What the decoder said.
        reason: String,
    },
    /// A codec this crate cannot look into.
    #[error("block {cid} has codec 0x{codec:x}; links are known for raw, dag-pb and dag-cbor")]
    UnsupportedCodec {
        /// The block.
        cid: Box<Cid>,
        /// Its codec.
        codec: u64,
    },
    /// More links than a block may have, those inside its identity CIDs counted.
    #[error("block {cid} has more than {limit} links")]
    TooWide {
        /// The block.
        cid: Box<Cid>,
        /// The cap.
        limit: usize,
    },
}

/// The links of a block in their order, duplicates included.
///
/// # Errors
/// [`LinksError`] for malformed blocks, unknown codecs, and more than [`MAX_LINKS`] links.
pub fn links(cid: &Cid, data: &[u8]) -> Result<Vec<Cid>, LinksError> {
    let malformed = |reason: String| LinksError::Malformed { cid: Box::new(*cid), reason };
    let links: Vec<Cid> = match cid.codec() {
        RAW => Vec::new(),
        DAG_PB => match dag_pb::Node::decode(data) {
            Ok(node) => node.links.into_iter().map(|link| link.cid).collect(),
            Err(dag_pb::NodeError::TooManyLinks) => return Err(too_wide(cid)),
            Err(error) => return Err(malformed(error.to_string())),
        },
        DAG_CBOR => DagCborCodec::links(data).map_err(|e| malformed(e.to_string()))?.collect(),
        codec => return Err(LinksError::UnsupportedCodec { cid: Box::new(*cid), codec }),
    };
    if links.len() > MAX_LINKS { Err(too_wide(cid)) } else { Ok(links) }
}

fn too_wide(cid: &Cid) -> LinksError {
    LinksError::TooWide { cid: Box::new(*cid), limit: MAX_LINKS }
}

/// Puts what `links_of` tells of the bytes inside identity CIDs in the place of these, so that what is left are
/// blocks that must be had from somewhere. Ends, since such a CID is always shorter than the one it stands in.
pub(crate) fn through_identities<E: From<LinksError>>(
    cid: &Cid,
    links: Vec<Cid>,
    links_of: impl Fn(&Cid, &[u8]) -> Result<Vec<Cid>, E>,
) -> Result<Vec<Cid>, E> {
    if links.iter().all(|link| identity_bytes(link).is_none()) {
        return Ok(links);
    }
    let mut flat = Vec::new();
    let mut rest: Vec<Cid> = links.into_iter().rev().collect();
    while let Some(link) = rest.pop() {
        match identity_bytes(&link) {
            Some(inside) => rest.extend(links_of(&link, inside)?.into_iter().rev()),
            None => flat.push(link),
        }
        if flat.len() + rest.len() > MAX_LINKS {
            return Err(too_wide(cid).into());
        }
    }
    Ok(flat)
}
