//! The links out of a block, by its codec.

use ::cid::Cid;
use ipld_core::codec::Links as _;
use serde_ipld_dagcbor::codec::DagCborCodec;

use super::check::{DAG_CBOR, DAG_PB, RAW};
use crate::unixfs::dag_pb;

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
}

/// The links of a block in their order, duplicates included.
///
/// # Errors
/// [`LinksError`] for malformed blocks and unknown codecs.
pub fn links(cid: &Cid, data: &[u8]) -> Result<Vec<Cid>, LinksError> {
    let malformed = |reason: String| LinksError::Malformed { cid: Box::new(*cid), reason };
    match cid.codec() {
        RAW => Ok(Vec::new()),
        DAG_PB => {
            let node = dag_pb::Node::decode(data).map_err(|e| malformed(e.to_string()))?;
            Ok(node.links.into_iter().map(|link| link.cid).collect())
        }
        DAG_CBOR => DagCborCodec::links(data).map(Iterator::collect).map_err(|e| malformed(e.to_string())),
        codec => Err(LinksError::UnsupportedCodec { cid: Box::new(*cid), codec }),
    }
}
