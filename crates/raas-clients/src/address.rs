//! Filecoin addresses in their text and byte forms, and the Ethereum addresses that stand for some of them.
//!
//! The letter in front of the text tells the network and is not part of the address: `t01000` and `f01000` are
//! one actor. Two addresses of one actor (its id and its key) are different values here; only the chain knows
//! that they belong together.

use alloy_primitives::Address as EthAddress;
use blake2::digest::consts::{U4, U20};
use blake2::{Blake2b, Digest as _};
use data_encoding::{BASE32_NOPAD, DecodeError};
use raas_core::ids::ActorId;
use std::fmt;
use std::str::FromStr;

/// Actor id of the Ethereum address manager, the namespace of `f410…`.
const EAM: u64 = 10;
/// The longest subaddress of a delegated address, in bytes.
const SUBADDRESS_MAX: usize = 54;

/// An address of one of the five protocols.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// f0: an actor by its number.
    Id(ActorId),
    /// f1: the hash of a secp256k1 key.
    Secp256k1([u8; 20]),
    /// f2: an actor by the hash of its creation.
    Actor([u8; 20]),
    /// f3: a BLS key.
    Bls(Box<[u8; 48]>),
    /// f4: a subaddress in the namespace of a manager actor; `f410…` is an Ethereum address.
    Delegated {
        /// The manager's actor id.
        namespace: u64,
        /// At most 54 bytes.
        subaddress: Vec<u8>,
    },
}

/// Which letter an address shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// `f`, mainnet.
    Mainnet,
    /// `t`, all test networks.
    Testnet,
}

/// Why a text or bytes are no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither `f` nor `t` in front, or nothing behind it.
    #[error("an address begins with f or t and a protocol from 0 to 4; {0:?} does not")]
    NoAddress(String),
    /// A number that is not canonical or too large.
    #[error("the actor number in an address must be canonical and below 2^63")]
    BadNumber,
    /// A payload of the wrong length for its protocol.
    #[error("an address of protocol {protocol} cannot have {bytes} bytes of payload")]
    BadLength {
        /// 0 to 4.
        protocol: u8,
        /// What was found.
        bytes: usize,
    },
    /// The text was mistyped.
    #[error("the checksum of the address does not match; check for typing errors")]
    BadChecksum,
    /// Not lower-case base32.
    #[error("the address is not base32: {0}")]
    BadBase32(#[from] DecodeError),
}

impl Address {
    /// The f1 address of a secp256k1 key in its uncompressed form (65 bytes, first byte 4).
    #[must_use]
    pub fn of_secp256k1(uncompressed: &[u8; 65]) -> Self {
        Self::Secp256k1(Blake2b::<U20>::digest(uncompressed).into())
    }

    /// The address of what Ethereum calls `eth`: f0 for a masked id, f410 otherwise.
    #[must_use]
    pub fn from_eth(eth: EthAddress) -> Self {
        match eth.0.0 {
            [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, id @ ..] => Self::Id(ActorId(u64::from_be_bytes(id))),
            bytes => Self::Delegated { namespace: EAM, subaddress: bytes.to_vec() },
        }
    }

    /// The Ethereum form, which only f410 and f0 addresses have.
    #[must_use]
    pub fn to_eth(&self) -> Option<EthAddress> {
        match self {
            Self::Id(ActorId(id)) => {
                let mut bytes = [0; 20];
                bytes[0] = 0xff;
                bytes[12..].copy_from_slice(&id.to_be_bytes());
                Some(bytes.into())
            }
            Self::Delegated { namespace: EAM, subaddress } => {
                EthAddress::try_from(subaddress.as_slice()).ok()
            }
            _ => None,
        }
    }

    /// The protocol, 0 to 4.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        match self {
            Self::Id(_) => 0,
            Self::Secp256k1(_) => 1,
            Self::Actor(_) => 2,
            Self::Bls(_) => 3,
            Self::Delegated { .. } => 4,
        }
    }

    /// Protocol byte and payload, as CBOR carries it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.protocol()];
        match self {
            Self::Id(ActorId(id)) => push_varint(&mut bytes, *id),
            Self::Secp256k1(payload) | Self::Actor(payload) => bytes.extend_from_slice(payload),
            Self::Bls(payload) => bytes.extend_from_slice(payload.as_slice()),
            Self::Delegated { namespace, subaddress } => {
                push_varint(&mut bytes, *namespace);
                bytes.extend_from_slice(subaddress);
            }
        }
        bytes
    }

    /// Reads what [`Address::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AddressError> {
        let Some((protocol, payload)) = bytes.split_first() else {
            return Err(AddressError::NoAddress(String::new()));
        };
        let wrong = AddressError::BadLength { protocol: *protocol, bytes: payload.len() };
        match protocol {
            0 => match take_varint(payload) {
                Some((id, [])) if id < 1 << 63 => Ok(Self::Id(ActorId(id))),
                _ => Err(AddressError::BadNumber),
            },
            1 => payload.try_into().map(Self::Secp256k1).map_err(|_| wrong),
            2 => payload.try_into().map(Self::Actor).map_err(|_| wrong),
            3 => payload.try_into().map(|key| Self::Bls(Box::new(key))).map_err(|_| wrong),
            4 => match take_varint(payload) {
                Some((namespace, rest)) if namespace < 1 << 63 && rest.len() <= SUBADDRESS_MAX => {
                    Ok(Self::Delegated { namespace, subaddress: rest.to_vec() })
                }
                Some(_) => Err(wrong),
                None => Err(AddressError::BadNumber),
            },
            _ => Err(AddressError::NoAddress(hex::encode(bytes))),
        }
    }

    /// The text with the letter of `prefix`.
    #[must_use]
    pub fn text(&self, prefix: Prefix) -> String {
        let letter = match prefix {
            Prefix::Mainnet => 'f',
            Prefix::Testnet => 't',
        };
        let bytes = self.to_bytes();
        let encode =
            |payload: &[u8]| BASE32_NOPAD.encode(&[payload, &checksum(&bytes)].concat()).to_ascii_lowercase();
        match self {
            Self::Id(ActorId(id)) => format!("{letter}0{id}"),
            Self::Delegated { namespace, subaddress } => {
                format!("{letter}4{namespace}f{}", encode(subaddress))
            }
            _ => format!("{letter}{}{}", self.protocol(), encode(bytes.get(1..).unwrap_or_default())),
        }
    }
}

impl fmt::Display for Address {
    /// With the letter `f`, which every node accepts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Prefix::Mainnet))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let none = || AddressError::NoAddress(text.chars().take(100).collect());
        let rest = text.strip_prefix(['f', 't']).ok_or_else(none)?;
        let (protocol, payload) = rest.split_at_checked(1).ok_or_else(none)?;
        let protocol = match protocol {
            "0" => return canonical_number(payload).map(|id| Self::Id(ActorId(id))),
            "1" => 1,
            "2" => 2,
            "3" => 3,
            "4" => 4,
            _ => return Err(none()),
        };
        let mut bytes = vec![protocol];
        let encoded = if protocol == 4 {
            let (namespace, encoded) = payload.split_once('f').ok_or_else(none)?;
            push_varint(&mut bytes, canonical_number(namespace)?);
            encoded
        } else {
            payload
        };
        if encoded.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(none());
        }
        let decoded = BASE32_NOPAD.decode(encoded.to_ascii_uppercase().as_bytes())?;
        let at = decoded.len().checked_sub(4).ok_or_else(none)?;
        let (payload, sum) = decoded.split_at(at);
        bytes.extend_from_slice(payload);
        if sum != checksum(&bytes) {
            return Err(AddressError::BadChecksum);
        }
        Self::from_bytes(&bytes)
    }
}

/// The four check bytes of an address's text.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    Blake2b::<U4>::digest(bytes).into()
}

fn canonical_number(text: &str) -> Result<u64, AddressError> {
    match text.parse::<u64>() {
        Ok(number) if number < 1 << 63 && number.to_string() == text => Ok(number),
        _ => Err(AddressError::BadNumber),
    }
}

/// Appends `value` in LEB128.
pub(crate) fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// A minimal LEB128 number of at most ten bytes, and what follows it.
pub(crate) fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (position, byte) in bytes.iter().take(10).enumerate() {
        let low = u64::from(byte & 0x7f);
        if position == 9 && low > 1 {
            return None;
        }
        value |= low << (7 * position);
        if byte & 0x80 == 0 {
            let minimal = position == 0 || *byte != 0;
            return minimal.then(|| (value, bytes.get(position + 1..).unwrap_or_default()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the address specification and of known actors.
    const KNOWN: [(&str, &str); 7] = [
        ("f00", "0000"),
        ("f01000", "00e807"),
        ("f0150", "009601"),
        ("f17uoq6tp427uzv7fztkbsnn64iwotfrristwpryy", "01fd1d0f4dfcd7e99afcb99a8326b7dc459d32c628"),
        ("f24vg6ut43yw2h2jqydgbg2xq7x6f4kub3bg6as6i", "02e54dea4f9bc5b47d261819826d5e1fbf8bc5503b"),
        (
            "f3vvmn62lofvhjd2ugzca6sof2j2ubwok6cj4xxbfzz4yuxfkgobpihhd2thlanmsh3w2ptld2gqkn2jvlss4a",
            "03ad58df696e2d4e91ea86c881e938ba4ea81b395e12797b84b9cf314b9546705e839c7a99d606b247ddb4f9ac7a3414dd",
        ),
        ("f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa", "040a52963ef50e27e06d72d59fcb4f3c2a687be3cfef"),
    ];

    #[test]
    fn known_addresses_have_both_forms() {
        for (text, bytes) in KNOWN {
            let address: Address = text.parse().expect(text);
            assert_eq!(hex::encode(address.to_bytes()), bytes, "{text}");
            assert_eq!(address.to_string(), text);
            assert_eq!(Address::from_bytes(&hex::decode(bytes).expect("hex")), Ok(address.clone()));
            let testnet = address.text(Prefix::Testnet);
            assert!(testnet.starts_with('t'));
            assert_eq!(testnet.parse(), Ok(address));
        }
    }

    #[test]
    fn an_ethereum_address_and_a_masked_id_have_their_own_forms() {
        let eth: EthAddress = "0x52963ef50e27e06d72d59fcb4f3c2a687be3cfef".parse().expect("an address");
        let address = Address::from_eth(eth);
        assert_eq!(address.to_string(), "f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa");
        assert_eq!(address.to_eth(), Some(eth));
        let masked: EthAddress = "0xff000000000000000000000000000000000003e8".parse().expect("an address");
        assert_eq!(Address::from_eth(masked), Address::Id(ActorId(1000)));
        assert_eq!(Address::Id(ActorId(1000)).to_eth(), Some(masked));
        assert_eq!(Address::Actor([1; 20]).to_eth(), None);
    }

    #[test]
    fn mistyped_addresses_are_refused() {
        for bad in [
            "",
            "f",
            "x01000",
            "f5abc",
            "f001",
            "f0-1",
            "f0",
            "f09223372036854775808",
            "f17uoq6tp427uzv7fztkbsnn64iwotfrristwprya",
            "f17uoq6tp427uzv7fztkbsnn64iwotfrristwpry",
            "F01000",
            "f4f",
            "f410",
            "f410fkkld",
            "f1AAAA",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }
}
