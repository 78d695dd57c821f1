//! Filecoin addresses: id, secp256k1, actor, BLS and delegated, as text and as bytes.

use blake2::digest::consts::{U4, U20};
use blake2::{Blake2b, Digest as _};
use data_encoding::{BitOrder, Encoding, Specification};
use raas_core::ids::ActorId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// The actor id of the Ethereum address manager, namespace of every f410 address.
const EAM: u64 = 10;
/// Longest sub-address of the delegated form.
const SUBADDRESS_MAX: usize = 54;

/// RFC 4648 base32 in lower case, without padding.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.bit_order = BitOrder::MostSignificantFirst;
    specification.encoding().expect("32 distinct symbols are an encoding")
});

/// Which letter an address begins with in text; the bytes are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// `f`
    Mainnet,
    /// `t`, every other network
    Testnet,
}

/// An address of one of the five kinds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// `f0`: the actor's number.
    Id(ActorId),
    /// `f1`: blake2b-160 of a secp256k1 public key.
    Secp256k1([u8; 20]),
    /// `f2`: blake2b-160 of whatever created the actor.
    Actor([u8; 20]),
    /// `f3`: a BLS public key.
    Bls([u8; 48]),
    /// `f4`: a sub-address under the namespace of the actor that manages it.
    Delegated {
        /// The managing actor; 10 for Ethereum addresses.
        namespace: u64,
        /// Up to 54 bytes; an Ethereum address has 20.
        subaddress: Vec<u8>,
    },
}

/// Why text or bytes are no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `f` or `t` and a protocol digit.
    #[error("an address begins with f or t and a digit 0 to 4")]
    Prefix,
    /// The number of an id address is not a plain decimal below 2^63.
    #[error("the id of an address must be a decimal number below 2^63 without leading zeros")]
    Id,
    /// The payload is not lower-case base32.
    #[error("the payload of an address must be lower-case base32 without padding")]
    Base32,
    /// The checksum does not match.
    #[error("the checksum of the address does not match: a character is wrong or missing")]
    Checksum,
    /// The payload has the wrong length for its protocol.
    #[error("an address of protocol {protocol} cannot have a payload of {length} bytes")]
    Length {
        /// The protocol byte.
        protocol: u8,
        /// The bytes found.
        length: usize,
    },
    /// No such protocol.
    #[error("there is no address protocol {0}: 0 to 4 are known")]
    Protocol(u8),
}

impl Address {
    /// The id address of actor `number`.
    #[must_use]
    pub const fn id(number: u64) -> Self {
        Self::Id(ActorId(number))
    }

    /// The f1 address of an uncompressed secp256k1 public key (65 bytes beginning with 4).
    #[must_use]
    pub fn of_secp256k1_key(uncompressed: &[u8]) -> Self {
        Self::Secp256k1(Blake2b::<U20>::digest(uncompressed).into())
    }

    /// The f2 address an actor gets from the bytes that make it unique.
    #[must_use]
    pub fn of_actor_seed(seed: &[u8]) -> Self {
        Self::Actor(Blake2b::<U20>::digest(seed).into())
    }

    /// The f410 address of an Ethereum address, or the f0 address of a masked id (`0xff`, eleven zeros, id).
    #[must_use]
    pub fn from_eth(eth: [u8; 20]) -> Self {
        if let [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, id @ ..] = eth {
            return Self::id(u64::from_be_bytes(id));
        }
        Self::Delegated { namespace: EAM, subaddress: eth.to_vec() }
    }

    /// The Ethereum form: of f410 its 20 bytes, of f0 the masked id; the others have none.
    #[must_use]
    pub fn to_eth(&self) -> Option<[u8; 20]> {
        match self {
            Self::Id(ActorId(number)) => {
                let mut eth = [0; 20];
                eth[0] = 0xff;
                eth[12..].copy_from_slice(&number.to_be_bytes());
                Some(eth)
            }
            Self::Delegated { namespace: EAM, subaddress } => subaddress.as_slice().try_into().ok(),
            _ => None,
        }
    }

    /// The protocol byte, 0 to 4.
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

    /// Protocol byte and payload, as chain types hold it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.protocol()];
        match self {
            Self::Id(ActorId(number)) => push_varint(&mut bytes, *number),
            Self::Secp256k1(hash) | Self::Actor(hash) => bytes.extend(hash),
            Self::Bls(key) => bytes.extend(key),
            Self::Delegated { namespace, subaddress } => {
                push_varint(&mut bytes, *namespace);
                bytes.extend(subaddress);
            }
        }
        bytes
    }

    /// Reads protocol byte and payload.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AddressError> {
        let (protocol, payload) = match bytes {
            [] => return Err(AddressError::Prefix),
            [protocol, payload @ ..] => (*protocol, payload),
        };
        let length = AddressError::Length { protocol, length: payload.len() };
        match protocol {
            0 => match take_varint(payload) {
                Some((number, [])) if number < 1 << 63 => Ok(Self::id(number)),
                _ => Err(AddressError::Id),
            },
            1 => payload.try_into().map(Self::Secp256k1).map_err(|_| length),
            2 => payload.try_into().map(Self::Actor).map_err(|_| length),
            3 => payload.try_into().map(Self::Bls).map_err(|_| length),
            4 => match take_varint(payload) {
                Some((namespace, subaddress)) if subaddress.len() <= SUBADDRESS_MAX => {
                    Ok(Self::Delegated { namespace, subaddress: subaddress.to_vec() })
                }
                _ => Err(length),
            },
            other => Err(AddressError::Protocol(other)),
        }
    }

    /// The text with the letter of `network`.
    #[must_use]
    pub fn text(&self, network: Network) -> String {
        let letter = match network {
            Network::Mainnet => 'f',
            Network::Testnet => 't',
        };
        let bytes = self.to_bytes();
        let summed = |payload: &[u8]| BASE32.encode(&[payload, &checksum(&bytes)].concat());
        match self {
            Self::Id(number) => format!("{letter}0{number}"),
            Self::Secp256k1(_) | Self::Actor(_) | Self::Bls(_) => {
                format!("{letter}{}{}", self.protocol(), summed(bytes.get(1..).unwrap_or_default()))
            }
            Self::Delegated { namespace, subaddress } => {
                format!("{letter}4{namespace}f{}", summed(subaddress))
            }
        }
    }
}

/// blake2b-32 over protocol byte and payload.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    Blake2b::<U4>::digest(bytes).into()
}

pub(super) fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// An unsigned LEB128 number in its shortest form and what follows it.
pub(super) fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        let low = u64::from(byte & 0x7f);
        if at == 9 && low > 1 {
            return None;
        }
        value |= low << (7 * at);
        if byte & 0x80 == 0 {
            return if *byte == 0 && at > 0 { None } else { bytes.get(at + 1..).map(|rest| (value, rest)) };
        }
    }
    None
}

/// The decimal number of an id or a namespace, in its one spelling.
fn decimal(text: &str) -> Result<u64, AddressError> {
    let number = text.parse::<u64>().map_err(|_| AddressError::Id)?;
    if number < 1 << 63 && number.to_string() == text { Ok(number) } else { Err(AddressError::Id) }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text.strip_prefix(['f', 't']).ok_or(AddressError::Prefix)?;
        let digit = rest.bytes().next().filter(u8::is_ascii_digit).ok_or(AddressError::Prefix)?;
        let body = rest.get(1..).ok_or(AddressError::Prefix)?;
        let (mut bytes, encoded) = match digit - b'0' {
            0 => return decimal(body).map(Self::id),
            4 => {
                let (namespace, encoded) = body.split_once('f').ok_or(AddressError::Prefix)?;
                let mut bytes = vec![4];
                push_varint(&mut bytes, decimal(namespace)?);
                (bytes, encoded)
            }
            protocol => (vec![protocol], encoded_or(body)?),
        };
        let decoded = BASE32.decode(encoded.as_bytes()).map_err(|_| AddressError::Base32)?;
        let (payload, sum) = decoded.split_last_chunk::<4>().ok_or(AddressError::Checksum)?;
        bytes.extend(payload);
        let address = Self::from_bytes(&bytes)?;
        if checksum(&bytes) == *sum { Ok(address) } else { Err(AddressError::Checksum) }
    }
}

fn encoded_or(body: &str) -> Result<&str, AddressError> {
    if body.is_empty() { Err(AddressError::Base32) } else { Ok(body) }
}

impl fmt::Display for Address {
    /// The text with the letter `f`; answers of a network use [`Address::text`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Network::Mainnet))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.to_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
            Self::from_bytes(&bytes).map_err(de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_text_and_bytes() {
        let kinds = [
            Address::id(0),
            Address::id((1 << 63) - 1),
            Address::of_secp256k1_key(&[4; 65]),
            Address::of_actor_seed(b"seed"),
            Address::Bls([7; 48]),
            Address::from_eth([0x11; 20]),
            Address::Delegated { namespace: 32, subaddress: vec![1, 2, 3] },
        ];
        for address in kinds {
            assert_eq!(Address::from_bytes(&address.to_bytes()), Ok(address.clone()));
            for network in [Network::Mainnet, Network::Testnet] {
                assert_eq!(address.text(network).parse(), Ok(address.clone()));
            }
        }
    }

    /// Published pairs: the address specification's f1 and f3 examples and a documented 0x/f410 pair.
    #[test]
    fn published_addresses_decode() {
        for (text, hex_bytes) in [
            ("f17uoq6tp427uzv7fztkbsnn64iwotfrristwpryy", "01fd1d0f4dfcd7e99afcb99a8326b7dc459d32c628"),
            ("f01024", "008008"),
            ("f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa", "040a52963ef50e27e06d72d59fcb4f3c2a687be3cfef"),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(hex::encode(address.to_bytes()), hex_bytes);
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn a_masked_id_is_an_id_address() {
        let eth = Address::id(1234).to_eth().expect("an id has a masked form");
        assert_eq!(hex::encode(eth), "ff000000000000000000000000000000000004d2");
        assert_eq!(Address::from_eth(eth), Address::id(1234));
        assert_eq!(Address::of_actor_seed(b"x").to_eth(), None);
    }

    #[test]
    fn wrong_addresses_are_refused() {
        use AddressError::{Base32, Checksum, Id, Prefix};
        for (text, error) in [
            ("", Prefix),
            ("x01", Prefix),
            ("f", Prefix),
            ("f0", Id),
            ("f001", Id),
            ("f0-1", Id),
            ("f0+1", Id),
            ("f09223372036854775808", Id),
            ("f1", Base32),
            ("f17uoq6tp427uzv7fztkbsnn64iwotfrristwprya", Checksum),
            ("f17UOQ6TP427UZV7FZTKBSNN64IWOTFRRISTWPRYY", Base32),
            ("f5abc", Base32),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text}");
        }
        assert_eq!(Address::from_bytes(&[0, 0x80, 0x00]), Err(Id), "a number has one spelling");
        assert_eq!(Address::from_bytes(&[9]), Err(AddressError::Protocol(9)));
    }
}
