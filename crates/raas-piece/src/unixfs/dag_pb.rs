//! dag-pb: a node is a list of named links and some bytes. Links stand before the data on the wire.

use ::cid::Cid;

use super::pb::{Fields, PbError, Value, put_bytes, put_number, varint_len};
use crate::block::{MAX_LINKS, exact_cid};

/// A link to another block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The block.
    pub cid: Cid,
    /// Name; empty in files.
    pub name: String,
    /// Size of the DAG below in bytes, as the writer claims, duplicates counted.
    pub tsize: u64,
}

impl Link {
    /// Length of this link's bytes in an encoded node, with its field key and length.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let inner = self.inner_len();
        1 + varint_len(inner as u64) + inner
    }

    fn inner_len(&self) -> usize {
        let (hash, name) = (self.cid.encoded_len(), self.name.len());
        let bytes = |len: usize| 1 + varint_len(len as u64) + len;
        bytes(hash) + bytes(name) + 1 + varint_len(self.tsize)
    }
}

/// A dag-pb node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Links in their order.
    pub links: Vec<Link>,
    /// The data field.
    pub data: Option<Vec<u8>>,
}

/// Bytes that are no dag-pb node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// Not Protocol Buffers.
    #[error("not a dag-pb node: {0}")]
    Wire(#[from] PbError),
    /// A field that dag-pb does not have, or has once only.
    #[error("not a dag-pb node: unexpected field {0}")]
    Field(u64),
    /// A link without a valid CID.
    #[error("link {index} of the dag-pb node has no valid CID")]
    Cid {
        /// Position of the link.
        index: usize,
    },
    /// A link name that is no UTF-8.
    #[error("the name of link {index} of the dag-pb node is not UTF-8")]
    Name {
        /// Position of the link.
        index: usize,
    },
    /// More links than a block may have.
    #[error("the dag-pb node has more than {MAX_LINKS} links")]
    TooManyLinks,
}

impl Node {
    /// The canonical bytes; links are written in the order given.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let size: usize = self.links.iter().map(Link::encoded_len).sum();
        let mut out = Vec::with_capacity(size + self.data.as_ref().map_or(0, |data| data.len() + 6));
        let mut inner = Vec::new();
        for link in &self.links {
            inner.clear();
            put_bytes(&mut inner, 1, &link.cid.to_bytes());
            put_bytes(&mut inner, 2, link.name.as_bytes());
            put_number(&mut inner, 3, link.tsize);
            put_bytes(&mut out, 2, &inner);
        }
        if let Some(data) = &self.data {
            put_bytes(&mut out, 1, data);
        }
        out
    }

    /// Decodes a node. Data may stand before or after the links, as old writers did both; anything else
    /// out of form is refused.
    ///
    /// # Errors
    /// [`NodeError`] naming the first thing wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, NodeError> {
        let mut node = Self::default();
        for field in Fields::new(bytes) {
            match field? {
                (1, Value::Bytes(data)) if node.data.is_none() => node.data = Some(data.to_vec()),
                (2, Value::Bytes(_)) if node.links.len() == MAX_LINKS => return Err(NodeError::TooManyLinks),
                (2, Value::Bytes(link)) => node.links.push(decode_link(link, node.links.len())?),
                (other, _) => return Err(NodeError::Field(other)),
            }
        }
        Ok(node)
    }
}

fn decode_link(bytes: &[u8], index: usize) -> Result<Link, NodeError> {
    let (mut cid, mut name, mut tsize) = (None, None, None);
    for field in Fields::new(bytes) {
        match field? {
            (1, Value::Bytes(hash)) if cid.is_none() => {
                cid = Some(exact_cid(hash).ok_or(NodeError::Cid { index })?);
            }
            (2, Value::Bytes(text)) if name.is_none() => {
                let text = std::str::from_utf8(text).map_err(|_| NodeError::Name { index })?;
                name = Some(text.to_owned());
            }
            (3, Value::Varint(size)) if tsize.is_none() => tsize = Some(size),
            (other, _) => return Err(NodeError::Field(other)),
        }
    }
    let cid = cid.ok_or(NodeError::Cid { index })?;
    Ok(Link { cid, name: name.unwrap_or_default(), tsize: tsize.unwrap_or(0) })
}
