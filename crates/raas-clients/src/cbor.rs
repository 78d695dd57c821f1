//! Pieces of Filecoin's CBOR that several parties share: big integers, addresses, content links.

use crate::address::Address;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use cid::Cid;
use cid::multihash::Multihash;
use raas_core::units::AttoFil;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Multicodec of DAG-CBOR.
const DAG_CBOR: u64 = 0x71;
/// Multihash blake2b-256.
const BLAKE2B_256: u64 = 0xb220;

/// An amount as actors write it: empty for zero, else a sign byte and the magnitude, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BigInt(pub(crate) AttoFil);

impl Serialize for BigInt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.0.to_be_bytes();
        let skip = bytes.iter().take_while(|byte| **byte == 0).count();
        let mut encoded = Vec::with_capacity(17);
        if skip < bytes.len() {
            encoded.push(0);
            encoded.extend_from_slice(bytes.get(skip..).unwrap_or_default());
        }
        serializer.serialize_bytes(&encoded)
    }
}

impl<'de> Deserialize<'de> for BigInt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        match bytes.split_first() {
            None => Ok(Self(AttoFil::ZERO)),
            Some((0, magnitude)) if magnitude.len() <= 16 => {
                let value = magnitude.iter().fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
                Ok(Self(AttoFil(value)))
            }
            Some((0, _)) => Err(de::Error::custom("an amount above 2^128 attoFIL")),
            Some(_) => Err(de::Error::custom("a negative amount")),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.to_bytes())
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        Self::from_bytes(&bytes).map_err(de::Error::custom)
    }
}

/// `value` in DAG-CBOR.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).expect("our types have no value that CBOR cannot hold")
}

/// The CIDv1 of `block` (DAG-CBOR) under blake2b-256, as the chain names messages and proposals.
pub(crate) fn blake2b_cid(block: &[u8]) -> Cid {
    let hash = Multihash::wrap(BLAKE2B_256, &Blake2b::<U32>::digest(block))
        .expect("32 bytes fit a 64-byte multihash");
    Cid::new_v1(DAG_CBOR, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_actors_form() {
        for (value, bytes) in [
            (0, "40"),
            (1, "420001"),
            (255, "4200ff"),
            (1_600_000_000, "45005f5e1000"),
            (11_000_000_000_000_000, "48002714711487800 0"),
        ] {
            let hex = bytes.replace(' ', "");
            let encoded = encode(&BigInt(AttoFil(value)));
            assert_eq!(hex::encode(&encoded), hex);
            let back: BigInt = serde_ipld_dagcbor::from_slice(&encoded).expect("what was written");
            assert_eq!(back, BigInt(AttoFil(value)));
        }
        assert!(serde_ipld_dagcbor::from_slice::<BigInt>(&[0x42, 1, 5]).is_err(), "negative");
    }
}
