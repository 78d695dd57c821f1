//! Sizes of pieces. Padded, capacity and payload are three different numbers of the same piece; only
//! the padded one gets a type with an invariant (a power of two, at least 128), the other two are
//! plain counts whose names say what they are.

use std::fmt;

/// Payload bytes in one Fr32 group: 127 bytes become 128.
pub const GROUP_PAYLOAD_BYTES: u64 = 127;
/// Padded bytes of one Fr32 group, and of the smallest piece.
pub const GROUP_PADDED_BYTES: u64 = 128;
/// Bytes of one tree node.
pub const NODE_BYTES: u64 = 32;

/// A piece size that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Not a power of two of at least 128.
    #[error("piece size {0} is not a power of two of at least 128 bytes")]
    NotPadded(u64),
    /// No piece of 64-bit size can hold so many payload bytes.
    #[error("payload of {0} bytes is larger than any piece can hold")]
    PayloadTooLarge(u64),
    /// Tree heights of pieces run from 2 (128 bytes) to 58.
    #[error("piece height {0} is outside 2..=58")]
    Height(u8),
}

/// Size of a piece after Fr32 padding, in bytes: a power of two, at least 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaddedSize(u64);

impl PaddedSize {
    /// The smallest piece, 128 bytes.
    pub const MIN: Self = Self(GROUP_PADDED_BYTES);
    /// The largest tree height whose size fits 64 bits.
    pub const MAX_HEIGHT: u8 = 58;

    /// A padded size from its bytes.
    ///
    /// # Errors
    /// [`SizeError::NotPadded`] unless `bytes` is a power of two of at least 128.
    pub const fn new(bytes: u64) -> Result<Self, SizeError> {
        if bytes >= GROUP_PADDED_BYTES && bytes.is_power_of_two() {
            Ok(Self(bytes))
        } else {
            Err(SizeError::NotPadded(bytes))
        }
    }

    /// The smallest piece that holds `payload_bytes` (the 128-byte piece for an empty payload).
    ///
    /// # Errors
    /// [`SizeError::PayloadTooLarge`] when the size would not fit 64 bits.
    pub const fn for_payload(payload_bytes: u64) -> Result<Self, SizeError> {
        let groups = payload_bytes.div_ceil(GROUP_PAYLOAD_BYTES);
        let groups = if groups == 0 { 1 } else { groups };
        match groups.checked_next_power_of_two() {
            Some(groups) => match groups.checked_mul(GROUP_PADDED_BYTES) {
                Some(bytes) => Ok(Self(bytes)),
                None => Err(SizeError::PayloadTooLarge(payload_bytes)),
            },
            None => Err(SizeError::PayloadTooLarge(payload_bytes)),
        }
    }

    /// The size of a tree of this height: 32 << height bytes.
    ///
    /// # Errors
    /// [`SizeError::Height`] outside 2..=58.
    pub const fn from_height(height: u8) -> Result<Self, SizeError> {
        if height < 2 || height > Self::MAX_HEIGHT {
            return Err(SizeError::Height(height));
        }
        Ok(Self(NODE_BYTES << height))
    }

    /// Bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Payload bytes that fit: 127/128 of the padded size.
    #[must_use]
    pub const fn capacity(self) -> u64 {
        self.0 - self.0 / GROUP_PADDED_BYTES
    }

    /// Height of the tree: log2(padded / 32), from 2 to 58.
    #[must_use]
    pub const fn height(self) -> u8 {
        // The difference is at most 58, so the cast keeps it.
        (self.0.ilog2() - NODE_BYTES.ilog2()) as u8
    }

    /// The next size up.
    ///
    /// # Errors
    /// [`SizeError::Height`] past height 58.
    pub const fn doubled(self) -> Result<Self, SizeError> {
        Self::from_height(self.height() + 1)
    }
}

impl fmt::Display for PaddedSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
