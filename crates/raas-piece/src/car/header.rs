//! The CARv1 header.

use ::cid::Cid;
use serde::{Deserialize, Serialize};

use super::error::CarError;

/// A decoded header and the bytes it came from (without their length prefix).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The roots the CAR claims; claims only, none needs to be inside.
    pub roots: Vec<Cid>,
    /// The header as it stands in the file, so that it can be copied unchanged.
    pub raw: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(default)]
    roots: Vec<Cid>,
    version: u64,
}

impl Header {
    /// The canonical header with these roots.
    #[must_use]
    pub fn new(roots: Vec<Cid>) -> Self {
        let fields = Fields { roots, version: 1 };
        let raw = serde_ipld_dagcbor::to_vec(&fields).expect("a list of CIDs and a number encode in memory");
        Self { roots: fields.roots, raw }
    }

    /// Decodes header bytes (without length prefix).
    ///
    /// # Errors
    /// [`CarError::Header`] when malformed, [`CarError::Version`] for anything but 1.
    pub fn decode(raw: Vec<u8>) -> Result<Self, CarError> {
        let fields: Fields = serde_ipld_dagcbor::from_slice(&raw)
            // The decoder's own words name its types.
            .map_err(|_| CarError::Header("it is no DAG-CBOR map of roots and version".to_owned()))?;
        if fields.version != 1 {
            return Err(CarError::Version(fields.version));
        }
        Ok(Self { roots: fields.roots, raw })
    }

    /// The header with its length prefix, as it stands at the start of a file.
    #[must_use]
    pub fn to_file_bytes(&self) -> Vec<u8> {
        let mut varint = unsigned_varint::encode::usize_buffer();
        let mut out = unsigned_varint::encode::usize(self.raw.len(), &mut varint).to_vec();
        out.extend_from_slice(&self.raw);
        out
    }
}
