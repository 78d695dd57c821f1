//! What can be wrong with CAR bytes, and whose fault it is.

use std::io;

use crate::block::BlockError;

/// Who is to blame for a failed transfer, for the choice of the next source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The source sent bytes that are not what was asked for.
    WrongBytes,
    /// The source stopped before everything was there.
    Truncated,
    /// The source sent more than the caps allow.
    TooLarge,
    /// The data uses a format, hash or codec that is not supported.
    Unsupported,
    /// Reading from the source failed; trying again may help.
    Interrupted,
    /// This side could not keep the data.
    Local,
}

/// Bytes that are no usable CAR.
#[derive(Debug, thiserror::Error)]
pub enum CarError {
    /// The source failed.
    #[error("could not read the CAR at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The input ended inside a header or section.
    #[error("the CAR is cut short at byte {offset}")]
    Truncated {
        /// Where more was expected.
        offset: u64,
    },
    /// A length is no minimal varint.
    #[error("the length at byte {offset} of the CAR is no valid varint")]
    Varint {
        /// Where.
        offset: u64,
    },
    /// The header is longer than the cap.
    #[error("the CAR header claims {bytes} bytes, over the limit of {limit}")]
    HeaderTooLarge {
        /// Claimed.
        bytes: u64,
        /// Cap.
        limit: u64,
    },
    /// The header is no CAR header.
    #[error("the CAR header is malformed: {0}")]
    Header(String),
    /// Only versions 1 and 2 are read.
    #[error("CAR version {0} is not supported; give a CARv1 or CARv2")]
    Version(u64),
    /// A CARv2 whose inside cannot be where its header says.
    #[error("the CARv2 header puts {data_bytes} bytes of CARv1 at {data_offset}, which cannot be")]
    V2Header {
        /// Place claimed.
        data_offset: u64,
        /// Length claimed.
        data_bytes: u64,
    },
    /// A section is longer than a block may be.
    #[error("the section at byte {offset} claims {bytes} bytes, over the limit of {limit}")]
    SectionTooLarge {
        /// Where.
        offset: u64,
        /// Claimed.
        bytes: u64,
        /// Cap.
        limit: u64,
    },
    /// A section does not start with a CID.
    #[error("the section at byte {offset} does not start with a valid CID: {reason}")]
    Cid {
        /// Where.
        offset: u64,
        /// What the decoder said.
        reason: String,
    },
    /// A block is wrong.
    #[error("bad block in the section at byte {offset}")]
    Block {
        /// Where.
        offset: u64,
        /// What is wrong.
        source: BlockError,
    },
    /// More blocks than the cap.
    #[error("the CAR has more than {limit} blocks")]
    TooManyBlocks {
        /// Cap.
        limit: u64,
    },
    /// More bytes than the cap.
    #[error("the CAR has more than {limit} bytes")]
    TooLong {
        /// Cap.
        limit: u64,
    },
}

impl CarError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Read { .. } => Fault::Interrupted,
            Self::Truncated { .. } => Fault::Truncated,
            Self::Varint { .. } | Self::Header(_) | Self::V2Header { .. } | Self::Cid { .. } => {
                Fault::WrongBytes
            }
            Self::Version(_) => Fault::Unsupported,
            Self::HeaderTooLarge { .. }
            | Self::SectionTooLarge { .. }
            | Self::TooManyBlocks { .. }
            | Self::TooLong { .. } => Fault::TooLarge,
            Self::Block { source, .. } => fault_of_block(source),
        }
    }
}

/// Whose fault a bad block from outside is.
pub(crate) fn fault_of_block(error: &BlockError) -> Fault {
    match error {
        BlockError::WrongBytes { .. } => Fault::WrongBytes,
        BlockError::UnsupportedHash { .. } => Fault::Unsupported,
        BlockError::TooLarge { .. } => Fault::TooLarge,
        BlockError::Missing { .. } => Fault::Truncated,
        BlockError::Io(_) => Fault::Local,
    }
}
