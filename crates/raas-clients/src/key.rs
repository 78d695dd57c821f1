//! The node's secp256k1 key: one secret with two faces, an f1 account for deals and escrow and a 0x (f410)
//! account for the contract.
//!
//! Signatures are deterministic (RFC 6979), so that the same terms give the same bytes on every run.

use crate::address::Address;
use alloy_primitives::{Address as EthAddress, B256, Signature as EthSignature};
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use k256::ecdsa::SigningKey;
use k256::elliptic_curve::zeroize::Zeroize as _;
use std::fmt;

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

    /// The public point, uncompressed.
    fn public(&self) -> [u8; 65] {
        let point = self.secret.verifying_key().to_encoded_point(false);
        point.as_bytes().try_into().expect("an uncompressed point has 65 bytes")
    }

    /// The f1 address.
    #[must_use]
    pub fn native_address(&self) -> Address {
        Address::of_secp256k1(&self.public())
    }

    /// The 0x address; as a Filecoin address it is `Address::from_eth` of this.
    #[must_use]
    pub fn eth_address(&self) -> EthAddress {
        EthAddress::from_raw_public_key(&self.public()[1..])
    }

    /// A Filecoin signature over `message`: type byte, then r, s and recovery id of blake2b-256 of it.
    #[must_use]
    pub fn sign_native(&self, message: &[u8]) -> Vec<u8> {
        let (signature, recovery) = self.sign_hash(Blake2b::<U32>::digest(message).into());
        let mut bytes = vec![SECP256K1];
        bytes.extend_from_slice(&signature);
        bytes.push(recovery);
        bytes
    }

    /// An Ethereum signature over `hash`.
    #[must_use]
    pub fn sign_eth(&self, hash: B256) -> EthSignature {
        let (signature, recovery) = self.sign_hash(hash.0);
        EthSignature::from_bytes_and_parity(&signature, recovery == 1)
    }

    /// r and s of `hash` with low s, and the parity of the point, 0 or 1.
    fn sign_hash(&self, hash: [u8; 32]) -> ([u8; 64], u8) {
        let (signature, recovery) =
            self.secret.sign_prehash_recoverable(&hash).expect("a 32-byte hash can be signed with any key");
        (signature.to_bytes().into(), recovery.to_byte())
    }
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
    fn what_is_no_key_is_refused() {
        assert_eq!(Key::from_bytes(&[0; 32]).err(), Some(KeyError::OutOfRange));
        assert_eq!(Key::from_bytes(&[0xff; 32]).err(), Some(KeyError::OutOfRange));
        assert_eq!(Key::from_hex("0x01").err(), Some(KeyError::NotHex));
        assert!(Key::from_hex(&format!("0x{}", "01".repeat(32))).is_ok());
    }
}
