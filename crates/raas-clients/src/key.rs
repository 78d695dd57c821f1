//! The node's secp256k1 key: one secret with two faces, an f1 account for deals and escrow and a 0x (f410)
//! account for the contract.
//!
//! Signatures are deterministic (RFC 6979), so that the same terms give the same bytes on every run.

use crate::address::Address;
use alloy_primitives::{Address as EthAddress, B256, Signature as EthSignature};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

/// The signature type byte of secp256k1 on Filecoin.
const SECP256K1: u8 = 1;

/// A secp256k1 secret key. It shows its address only, is wiped when dropped, and never leaves this crate.
#[derive(Clone)]
pub struct Key {
    /// `SigningKey` wipes its scalar on drop.
    secret: SigningKey,
}

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hex digits.
    #[error("a wallet key has 64 hex digits")]
    NotHex,
    /// Zero, or not below the order of the curve.
    #[error("the wallet key is not a valid secp256k1 secret")]
    OutOfRange,
    /// Not what `lotus wallet export` writes.
    #[error(
        "a Lotus key is the hex of JSON such as {{\"Type\":\"secp256k1\",\"PrivateKey\":\"…\"}}; this is not"
    )]
    NotLotus,
    /// A BLS key: this node signs with secp256k1 only.
    #[error(
        "the key is a BLS key (f3); the node signs with secp256k1 (f1 and 0x) only: export an f1 or f410 key"
    )]
    Bls,
    /// A type that Lotus does not have.
    #[error("keys of this type are not known; use secp256k1 or delegated")]
    OtherType,
}

/// What `lotus wallet export` writes, in hex.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct LotusKey {
    r#type: String,
    private_key: String,
}

/// The two addresses of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// f1: deals and escrow.
    pub native: Address,
    /// 0x, in Filecoin's words f410: the contract.
    pub eth: EthAddress,
}

impl Addresses {
    fn of(key: &VerifyingKey) -> Self {
        let point = key.to_encoded_point(false);
        let public: [u8; 65] = point.as_bytes().try_into().expect("an uncompressed point has 65 bytes");
        Self {
            native: Address::of_secp256k1(&public),
            eth: EthAddress::from_raw_public_key(public.get(1..).unwrap_or_default()),
        }
    }

    /// Whose signature over `hash` this is; `None` when it is nobody's.
    #[must_use]
    pub(crate) fn recover(hash: [u8; 32], signature: [u8; 65]) -> Option<Self> {
        let (rs, recovery) = signature.split_at(64);
        let signature = Signature::from_slice(rs).ok()?;
        let recovery = RecoveryId::from_byte(*recovery.first()?)?;
        VerifyingKey::recover_from_prehash(&hash, &signature, recovery).ok().map(|key| Self::of(&key))
    }
}

impl Key {
    /// The key with secret `bytes`, big-endian. Random bytes are a key with overwhelming probability.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let secret = SigningKey::from_slice(bytes).map_err(|_| KeyError::OutOfRange)?;
        Ok(Self { secret })
    }

    /// The key in 64 hex digits, with or without 0x.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let mut bytes = [0; 32];
        let decoded = hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes);
        let key = decoded.map_err(|_| KeyError::NotHex).and_then(|()| Self::from_bytes(&bytes));
        bytes.zeroize();
        key
    }

    /// The key in the form of `lotus wallet export`: hex of JSON with a type and the secret in base64. `delegated`
    /// keys (f410) are secp256k1 secrets, too.
    pub fn from_lotus(text: &str) -> Result<Self, KeyError> {
        let json = Zeroizing::new(hex::decode(text.trim()).map_err(|_| KeyError::NotLotus)?);
        let mut lotus: LotusKey = serde_json::from_slice(&json).map_err(|_| KeyError::NotLotus)?;
        let secret = Zeroizing::new(BASE64.decode(&lotus.private_key).unwrap_or_default());
        lotus.private_key.zeroize();
        match lotus.r#type.as_str() {
            "secp256k1" | "delegated" => {
                let bytes =
                    Zeroizing::new(<[u8; 32]>::try_from(secret.as_slice()).map_err(|_| KeyError::NotLotus)?);
                Self::from_bytes(&bytes)
            }
            "bls" => Err(KeyError::Bls),
            _ => Err(KeyError::OtherType),
        }
    }

    /// What `lotus wallet import` reads. It is the secret itself.
    #[must_use]
    pub fn to_lotus(&self) -> Zeroizing<String> {
        let private_key = BASE64.encode(self.secret_bytes().as_slice());
        let mut lotus = LotusKey { r#type: "secp256k1".to_owned(), private_key };
        let json = Zeroizing::new(serde_json::to_vec(&lotus).expect("texts are JSON"));
        lotus.private_key.zeroize();
        Zeroizing::new(hex::encode(json.as_slice()))
    }

    /// The secret in 64 hex digits, for a devnet's plain file.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.secret_bytes().as_slice()))
    }

    /// The secret, big-endian.
    pub(crate) fn secret_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.to_bytes().into())
    }

    /// Both addresses.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses::of(self.secret.verifying_key())
    }

    /// The f1 address.
    #[must_use]
    pub fn native_address(&self) -> Address {
        self.addresses().native
    }

    /// The 0x address; as a Filecoin address it is `Address::from_eth` of this.
    #[must_use]
    pub fn eth_address(&self) -> EthAddress {
        self.addresses().eth
    }

    /// A Filecoin signature over `message`: type byte, then r, s and recovery id of blake2b-256 of it.
    #[must_use]
    pub fn sign_native(&self, message: &[u8]) -> Vec<u8> {
        native_signature(self.sign_hash(Blake2b::<U32>::digest(message).into()))
    }

    /// An Ethereum signature over `hash`.
    #[must_use]
    pub fn sign_eth(&self, hash: B256) -> EthSignature {
        eth_signature(self.sign_hash(hash.0))
    }

    /// r and s of `hash` with low s, and the parity of the point, 0 or 1.
    pub(crate) fn sign_hash(&self, hash: [u8; 32]) -> [u8; 65] {
        let (signature, recovery) =
            self.secret.sign_prehash_recoverable(&hash).expect("a 32-byte hash can be signed with any key");
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = recovery.to_byte();
        bytes
    }
}

/// The Filecoin form: type byte, r, s, recovery id.
pub(crate) fn native_signature(signature: [u8; 65]) -> Vec<u8> {
    [&[SECP256K1], signature.as_slice()].concat()
}

/// The Ethereum form.
pub(crate) fn eth_signature(signature: [u8; 65]) -> EthSignature {
    EthSignature::from_bytes_and_parity(signature.get(..64).unwrap_or_default(), signature[64] == 1)
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, secret redacted)", self.native_address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    fn ones() -> Key {
        Key::from_bytes(&[1; 32]).expect("a key")
    }

    #[test]
    fn the_key_of_ones_has_its_known_addresses() {
        let key = ones();
        assert_eq!(key.native_address().to_string(), "f1ksu3ktw4xhyaoltwr546b3epfs5wxxqfyyxipwi");
        // The address that every Ethereum library gives for this key.
        assert_eq!(key.eth_address().to_checksum(None), "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1");
    }

    #[test]
    fn a_signature_recovers_the_signer() {
        let key = ones();
        let hash = keccak256(b"hello");
        let signature = key.sign_eth(hash);
        assert_eq!(signature.recover_address_from_prehash(&hash).ok(), Some(key.eth_address()));
        assert_eq!(key.sign_native(b"hello"), key.sign_native(b"hello"));
        assert_eq!(key.sign_native(b"hello").len(), 66);
    }

    #[test]
    fn a_key_does_not_show_its_secret() {
        let shown = format!("{:?}", ones());
        assert!(shown.contains("redacted") && !shown.contains("0101"), "{shown}");
    }

    #[test]
    fn lotus_keys_go_in_and_out() {
        // `lotus wallet export` of the secret of ones.
        let json = r#"{"Type":"secp256k1","PrivateKey":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}"#;
        assert_eq!(*ones().to_lotus(), hex::encode(json));
        for kind in ["secp256k1", "delegated"] {
            let text = hex::encode(json.replace("secp256k1", kind));
            assert_eq!(Key::from_lotus(&format!("{text}\n")).expect(kind).addresses(), ones().addresses());
        }
        let refused = |json: &str| Key::from_lotus(&hex::encode(json)).err();
        assert_eq!(refused(&json.replace("secp256k1", "bls")), Some(KeyError::Bls));
        assert_eq!(refused(&json.replace("secp256k1", "ed25519")), Some(KeyError::OtherType));
        assert_eq!(refused(&json.replace("AQE=", "")), Some(KeyError::NotLotus));
        assert_eq!(refused("{}"), Some(KeyError::NotLotus));
        assert_eq!(Key::from_lotus("xyz").err(), Some(KeyError::NotLotus));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(Key::from_bytes(&[0; 32]).err(), Some(KeyError::OutOfRange));
        assert_eq!(Key::from_bytes(&[0xff; 32]).err(), Some(KeyError::OutOfRange));
        assert_eq!(Key::from_hex("0x01").err(), Some(KeyError::NotHex));
        assert!(Key::from_hex(&format!("0x{}", "01".repeat(32))).is_ok());
    }
}
