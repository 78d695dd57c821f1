//! Signatures of Filecoin keys, and the one kind of key this devnet signs and verifies with: secp256k1.

use super::address::Address;
use super::cids::blake2b_256;
use k256::ecdsa::{RecoveryId, Signature as Ecdsa, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Longest signature, type byte included, that the chain's types take.
const BYTES_MAX: usize = 200;

/// What kind of key signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum SignatureKind {
    /// 1: over blake2b-256 of the message.
    Secp256k1,
    /// 2: over the message itself.
    Bls,
    /// 3: over keccak-256 of the message, by an Ethereum key.
    Delegated,
}

impl From<SignatureKind> for u8 {
    fn from(kind: SignatureKind) -> Self {
        match kind {
            SignatureKind::Secp256k1 => 1,
            SignatureKind::Bls => 2,
            SignatureKind::Delegated => 3,
        }
    }
}

impl TryFrom<u8> for SignatureKind {
    type Error = SignatureError;

    fn try_from(byte: u8) -> Result<Self, SignatureError> {
        match byte {
            1 => Ok(Self::Secp256k1),
            2 => Ok(Self::Bls),
            3 => Ok(Self::Delegated),
            other => Err(SignatureError::Kind(other)),
        }
    }
}

/// Why a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No such type byte.
    #[error("there is no signature type {0}: 1 (secp256k1), 2 (BLS) and 3 (delegated) are known")]
    Kind(u8),
    /// No bytes, or too many.
    #[error("a signature has 1 to {BYTES_MAX} bytes, not {0}")]
    Length(usize),
    /// The data of a secp256k1 signature is not r, s and a recovery id of 0 or 1, with s in the lower half.
    #[error("a secp256k1 signature is 65 bytes: r, s (lower half) and a recovery id of 0 or 1")]
    Malformed,
    /// Somebody else's key made the signature.
    #[error("the signature was made by {signer}, not by {expected}")]
    WrongSigner {
        /// The address of the key that signed.
        signer: String,
        /// The address that had to sign.
        expected: String,
    },
    /// The signer's kind of address does not go with the signature's type.
    #[error("an address of protocol {protocol} cannot have signed with a signature of type {kind}")]
    KindMismatch {
        /// The address's protocol byte.
        protocol: u8,
        /// The signature's type byte.
        kind: u8,
    },
    /// This devnet verifies secp256k1 only.
    #[error("signatures of type {0} are not verified here: sign with an f1 (secp256k1) key")]
    Unsupported(u8),
}

/// A type byte and data; one byte string on the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    /// Which kind of key signed.
    pub kind: SignatureKind,
    /// The signature without its type byte.
    pub data: Vec<u8>,
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:?}, {})", self.kind, hex::encode(&self.data))
    }
}

impl Signature {
    /// Type byte and data.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        std::iter::once(self.kind.into()).chain(self.data.iter().copied()).collect()
    }

    /// Reads type byte and data.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureError> {
        match bytes {
            [kind, data @ ..] if bytes.len() <= BYTES_MAX => {
                Ok(Self { kind: SignatureKind::try_from(*kind)?, data: data.to_vec() })
            }
            _ => Err(SignatureError::Length(bytes.len())),
        }
    }

    /// Checks that the key of `signer` (an f1 address; resolve id addresses first) signed `message`.
    pub fn verify(&self, message: &[u8], signer: &Address) -> Result<(), SignatureError> {
        match (signer, self.kind) {
            (Address::Secp256k1(_), SignatureKind::Secp256k1) => {}
            (Address::Bls(_), SignatureKind::Bls) | (Address::Delegated { .. }, SignatureKind::Delegated) => {
                return Err(SignatureError::Unsupported(self.kind.into()));
            }
            _ => {
                return Err(SignatureError::KindMismatch {
                    protocol: signer.protocol(),
                    kind: self.kind.into(),
                });
            }
        }
        let found = self.recover(message)?;
        if found == *signer {
            Ok(())
        } else {
            Err(SignatureError::WrongSigner { signer: found.to_string(), expected: signer.to_string() })
        }
    }

    /// The f1 address whose key made this secp256k1 signature over `message`.
    pub fn recover(&self, message: &[u8]) -> Result<Address, SignatureError> {
        if self.kind != SignatureKind::Secp256k1 {
            return Err(SignatureError::Unsupported(self.kind.into()));
        }
        let malformed = |_| SignatureError::Malformed;
        let (scalars, recovery) = match self.data.as_slice() {
            [scalars @ .., recovery @ (0 | 1)] if scalars.len() == 64 => (scalars, *recovery),
            _ => return Err(SignatureError::Malformed),
        };
        let ecdsa = Ecdsa::from_slice(scalars).map_err(malformed)?;
        if ecdsa.normalize_s().is_some() {
            return Err(SignatureError::Malformed);
        }
        let recovery = RecoveryId::from_byte(recovery).ok_or(SignatureError::Malformed)?;
        let key =
            VerifyingKey::recover_from_prehash(&blake2b_256(message), &ecdsa, recovery).map_err(malformed)?;
        Ok(address_of(&key))
    }
}

fn address_of(key: &VerifyingKey) -> Address {
    Address::of_secp256k1_key(key.to_encoded_point(false).as_bytes())
}

/// The JSON form, `{"Type":1,"Data":"<base64>"}`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Json {
    r#type: SignatureKind,
    #[serde(with = "super::message::base64_text")]
    data: Vec<u8>,
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Json { r#type: self.kind, data: self.data.clone() }.serialize(serializer)
        } else {
            serializer.serialize_bytes(&self.to_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let Json { r#type: kind, data } = Json::deserialize(deserializer)?;
            return Ok(Self { kind, data });
        }
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        Self::from_bytes(&bytes).map_err(de::Error::custom)
    }
}

/// A secp256k1 key of a provider's worker, or of a test. It never prints itself.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.address())
    }
}

impl SecretKey {
    /// `None` for zero and for numbers at or above the group's order.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        SigningKey::from_slice(&bytes).ok().map(Self)
    }

    /// The key that `seed` always gives: blake2b-256 of it, hashed again until it is a key.
    #[must_use]
    pub fn from_seed(seed: &[u8]) -> Self {
        let mut bytes = blake2b_256(seed);
        loop {
            if let Some(key) = Self::from_bytes(bytes) {
                return key;
            }
            bytes = blake2b_256(&bytes);
        }
    }

    /// Its f1 address.
    #[must_use]
    pub fn address(&self) -> Address {
        address_of(self.0.verifying_key())
    }

    /// Signs blake2b-256 of `message`, deterministically (RFC 6979).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        let (ecdsa, recovery) = self
            .0
            .sign_prehash_recoverable(&blake2b_256(message))
            .expect("a 32-byte digest can always be signed");
        let mut data = ecdsa.to_bytes().to_vec();
        data.push(recovery.to_byte());
        Signature { kind: SignatureKind::Secp256k1, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_signer_s_address_verifies() {
        let (key, other) = (SecretKey::from_seed(b"a"), SecretKey::from_seed(b"b"));
        let signature = key.sign(b"message");
        assert_eq!(signature.verify(b"message", &key.address()), Ok(()));
        assert!(matches!(
            signature.verify(b"message", &other.address()),
            Err(SignatureError::WrongSigner { .. })
        ));
        assert!(signature.verify(b"massage", &key.address()).is_err());
        assert_eq!(Signature::from_bytes(&signature.to_bytes()), Ok(signature));
    }

    #[test]
    fn kinds_must_match_the_address() {
        let key = SecretKey::from_seed(b"a");
        let signature = key.sign(b"message");
        let eth = Address::from_eth([1; 20]);
        assert!(matches!(signature.verify(b"message", &eth), Err(SignatureError::KindMismatch { .. })));
        let delegated = Signature { kind: SignatureKind::Delegated, data: signature.data.clone() };
        assert_eq!(delegated.verify(b"message", &eth), Err(SignatureError::Unsupported(3)));
    }

    #[test]
    fn malformed_signatures_are_refused() {
        let key = SecretKey::from_seed(b"a");
        let good = key.sign(b"message");
        let mut high_recovery = good.clone();
        high_recovery.data[64] = 27;
        let short = Signature { data: good.data[..64].to_vec(), ..good.clone() };
        let zeros = Signature { data: vec![0; 65], ..good };
        for bad in [high_recovery, short, zeros] {
            assert_eq!(bad.verify(b"message", &key.address()), Err(SignatureError::Malformed));
        }
        assert_eq!(Signature::from_bytes(&[]), Err(SignatureError::Length(0)));
        assert_eq!(Signature::from_bytes(&[4, 0]), Err(SignatureError::Kind(4)));
        assert_eq!(Signature::from_bytes(&[1; 201]), Err(SignatureError::Length(201)));
    }
}
