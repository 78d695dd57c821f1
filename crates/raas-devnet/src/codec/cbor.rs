//! DAG-CBOR in and out of bytes, and the one quantity that has a form of its own there: attoFIL.

use raas_core::units::AttoFil;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Why bytes are not the CBOR of the wanted type, or a value has no CBOR.
#[derive(Debug, thiserror::Error)]
pub enum CborError {
    /// The bytes do not decode; `what` names the type.
    #[error("{what} does not decode from CBOR: {reason}")]
    Decode {
        /// The wanted type.
        what: &'static str,
        /// What the decoder met.
        reason: String,
    },
    /// The value does not encode; `what` names the type.
    #[error("{what} does not encode to CBOR: {reason}")]
    Encode {
        /// The type at hand.
        what: &'static str,
        /// What the encoder met.
        reason: String,
    },
}

/// The last part of a type's path, for messages.
fn short_name<T: ?Sized>() -> &'static str {
    let full = std::any::type_name::<T>();
    full.rsplit("::").next().unwrap_or(full)
}

/// The canonical DAG-CBOR of `value`.
pub fn to_cbor<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CborError> {
    serde_ipld_dagcbor::to_vec(value)
        .map_err(|error| CborError::Encode { what: short_name::<T>(), reason: error.to_string() })
}

/// Exactly one value out of `bytes`; anything behind it is an error, and so is every form that is not canonical
/// (long integers, wrong key order).
pub fn from_cbor<T: de::DeserializeOwned>(bytes: &[u8]) -> Result<T, CborError> {
    serde_ipld_dagcbor::from_slice(bytes)
        .map_err(|error| CborError::Decode { what: short_name::<T>(), reason: error.to_string() })
}

/// An amount of attoFIL as chain types write it: in CBOR a byte string (empty for zero, else a sign byte and the
/// big-endian magnitude), in JSON a decimal string. Negative amounts do not decode: nothing here may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenAmount(pub AttoFil);

impl TokenAmount {
    /// The byte-string form: empty for zero, else 0 and the magnitude without leading zeros.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let value = self.0.0;
        if value == 0 {
            return Vec::new();
        }
        let skipped = (value.leading_zeros() / 8) as usize;
        std::iter::once(0).chain(value.to_be_bytes().into_iter().skip(skipped)).collect()
    }

    /// Reads the byte-string form. `None` for a negative or over-long amount or one with a leading zero.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sign, magnitude) = match bytes {
            [] => return Some(Self::default()),
            [sign, magnitude @ ..] => (*sign, magnitude),
        };
        if sign != 0 || magnitude.len() > 16 || magnitude.first().is_none_or(|byte| *byte == 0) {
            return None;
        }
        let value = magnitude.iter().fold(0u128, |sum, byte| (sum << 8) | u128::from(*byte));
        Some(Self(AttoFil(value)))
    }
}

impl Serialize for TokenAmount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else {
            serializer.serialize_bytes(&self.to_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for TokenAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return AttoFil::deserialize(deserializer).map(Self);
        }
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        Self::from_bytes(&bytes)
            .ok_or_else(|| de::Error::custom("an amount must be 0 and up to 16 bytes without leading zeros"))
    }
}

impl fmt::Display for TokenAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_one_byte_form() {
        for (value, bytes) in [
            (0, vec![]),
            (1, vec![0, 1]),
            (256, vec![0, 1, 0]),
            (1_600_000_000, vec![0, 0x5f, 0x5e, 0x10, 0]),
        ] {
            let amount = TokenAmount(AttoFil(value));
            assert_eq!(amount.to_bytes(), bytes);
            assert_eq!(TokenAmount::from_bytes(&bytes), Some(amount));
        }
        let largest = TokenAmount(AttoFil(u128::MAX));
        assert_eq!(TokenAmount::from_bytes(&largest.to_bytes()), Some(largest));
    }

    #[test]
    fn negative_padded_and_huge_amounts_are_refused() {
        for bad in [vec![1, 1], vec![0], vec![0, 0, 1], vec![2, 1], [vec![0], vec![1; 17]].concat()] {
            assert_eq!(TokenAmount::from_bytes(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn trailing_bytes_and_long_integers_are_refused() {
        assert!(from_cbor::<u64>(&[0x01]).is_ok());
        assert!(from_cbor::<u64>(&[0x01, 0x01]).is_err());
        assert!(from_cbor::<u64>(&[0x18, 0x01]).is_err());
    }
}
