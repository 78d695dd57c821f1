//! The UnixFS message in the data field of a dag-pb node.

use super::pb::{Fields, PbError, Value, put_bytes, put_number};
use crate::varint;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bytes of a file (written by old software).
    Raw,
    /// A directory whose links are its entries.
    Directory,
    /// A file or a part of one.
    File,
    /// Metadata (never used).
    Metadata,
    /// A symbolic link.
    Symlink,
    /// A shard of a large directory.
    HamtShard,
}

impl Kind {
    const fn number(self) -> u64 {
        match self {
            Self::Raw => 0,
            Self::Directory => 1,
            Self::File => 2,
            Self::Metadata => 3,
            Self::Symlink => 4,
            Self::HamtShard => 5,
        }
    }

    const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Raw,
            1 => Self::Directory,
            2 => Self::File,
            3 => Self::Metadata,
            4 => Self::Symlink,
            5 => Self::HamtShard,
            _ => return None,
        })
    }
}

/// The message. Mode and modification time are read over and never written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// What the node is.
    pub kind: Kind,
    /// Inline bytes, a symlink's target, or a shard's bit field.
    pub bytes: Option<Vec<u8>>,
    /// Bytes of the file below this node.
    pub file_bytes: Option<u64>,
    /// File bytes below each link.
    pub block_bytes: Vec<u64>,
    /// Multihash code of a shard's name hash.
    pub hash_type: Option<u64>,
    /// Width of a shard.
    pub fanout: Option<u64>,
}

/// Bytes that are no UnixFS message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Not Protocol Buffers.
    #[error("not a UnixFS message: {0}")]
    Wire(#[from] PbError),
    /// No or an unknown type.
    #[error("UnixFS type is missing or unknown")]
    Kind,
    /// A field of the wrong wire type, or twice.
    #[error("unexpected UnixFS field {0}")]
    Field(u64),
}

impl Data {
    /// A message of a kind, all else absent.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self { kind, bytes: None, file_bytes: None, block_bytes: Vec::new(), hash_type: None, fanout: None }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(16 + self.bytes.as_ref().map_or(0, Vec::len) + 5 * self.block_bytes.len());
        put_number(&mut out, 1, self.kind.number());
        if let Some(bytes) = &self.bytes {
            put_bytes(&mut out, 2, bytes);
        }
        if let Some(size) = self.file_bytes {
            put_number(&mut out, 3, size);
        }
        for &size in &self.block_bytes {
            put_number(&mut out, 4, size);
        }
        if let Some(hash_type) = self.hash_type {
            put_number(&mut out, 5, hash_type);
        }
        if let Some(fanout) = self.fanout {
            put_number(&mut out, 6, fanout);
        }
        out
    }

    /// Decodes a message; unknown fields are read over.
    ///
    /// # Errors
    /// [`DataError`] naming what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DataError> {
        let mut kind = None;
        let mut data = Self::new(Kind::Raw);
        for field in Fields::new(bytes) {
            match field? {
                (1, Value::Varint(number)) if kind.is_none() => {
                    kind = Some(Kind::from_number(number).ok_or(DataError::Kind)?);
                }
                (2, Value::Bytes(bytes)) if data.bytes.is_none() => data.bytes = Some(bytes.to_vec()),
                (3, Value::Varint(size)) if data.file_bytes.is_none() => data.file_bytes = Some(size),
                (4, Value::Varint(size)) => data.block_bytes.push(size),
                (4, Value::Bytes(packed)) => unpack(packed, &mut data.block_bytes)?,
                (5, Value::Varint(code)) if data.hash_type.is_none() => data.hash_type = Some(code),
                (6, Value::Varint(fanout)) if data.fanout.is_none() => data.fanout = Some(fanout),
                (known @ 1..=6, _) => return Err(DataError::Field(known)),
                _ => {}
            }
        }
        data.kind = kind.ok_or(DataError::Kind)?;
        Ok(data)
    }
}

fn unpack(mut packed: &[u8], sizes: &mut Vec<u64>) -> Result<(), DataError> {
    while !packed.is_empty() {
        let (size, rest) = varint::read(packed).ok_or(PbError::Varint)?;
        sizes.push(size);
        packed = rest;
    }
    Ok(())
}
