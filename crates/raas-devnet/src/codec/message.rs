//! Native messages: a CBOR ten-tuple, named by its blake2b CID, signed over that CID's bytes.

use super::address::Address;
use super::cbor::{CborError, TokenAmount, to_cbor};
use super::cids::dag_cbor_blake2b;
use super::signature::{Signature, SignatureError, SignatureKind};
use cid::Cid;
use raas_core::units::AttoFil;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes as standard base64 text; `null` is read as no bytes.
pub(super) mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in crate::codec) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(in crate::codec) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            None => Ok(Vec::new()),
            Some(text) => STANDARD.decode(text).map_err(de::Error::custom),
        }
    }
}

/// A message from one actor to another. Its JSON form is that of the native RPC (PascalCase, amounts as text,
/// parameters as base64), its CBOR form the tuple that is hashed and signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Always 0.
    pub version: u64,
    /// Whom it calls.
    pub to: Address,
    /// Who pays and signs.
    pub from: Address,
    /// The sender's count.
    pub nonce: u64,
    /// What goes with it.
    pub value: AttoFil,
    /// At most this much gas.
    pub gas_limit: i64,
    /// At most this much per unit.
    pub gas_fee_cap: AttoFil,
    /// At most this much of it to the block's miner.
    pub gas_premium: AttoFil,
    /// The method's number; 0 only sends.
    pub method: u64,
    /// The method's parameters as CBOR.
    pub params: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Tuple(
    u64,
    Address,
    Address,
    u64,
    TokenAmount,
    i64,
    TokenAmount,
    TokenAmount,
    u64,
    #[serde(with = "serde_bytes")] Vec<u8>,
);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Json {
    #[serde(default)]
    version: u64,
    to: Address,
    from: Address,
    #[serde(default)]
    nonce: u64,
    #[serde(default)]
    value: TokenAmount,
    #[serde(default)]
    gas_limit: i64,
    #[serde(default)]
    gas_fee_cap: TokenAmount,
    #[serde(default)]
    gas_premium: TokenAmount,
    #[serde(default)]
    method: u64,
    #[serde(default, with = "base64_text")]
    params: Vec<u8>,
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (value, cap, premium) =
            (TokenAmount(self.value), TokenAmount(self.gas_fee_cap), TokenAmount(self.gas_premium));
        let (to, from, params) = (self.to.clone(), self.from.clone(), self.params.clone());
        if serializer.is_human_readable() {
            Json {
                version: self.version,
                to,
                from,
                nonce: self.nonce,
                value,
                gas_limit: self.gas_limit,
                gas_fee_cap: cap,
                gas_premium: premium,
                method: self.method,
                params,
            }
            .serialize(serializer)
        } else {
            Tuple(
                self.version,
                to,
                from,
                self.nonce,
                value,
                self.gas_limit,
                cap,
                premium,
                self.method,
                params,
            )
            .serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tuple(version, to, from, nonce, value, gas_limit, cap, premium, method, params) =
            if deserializer.is_human_readable() {
                let json = Json::deserialize(deserializer)?;
                Tuple(
                    json.version,
                    json.to,
                    json.from,
                    json.nonce,
                    json.value,
                    json.gas_limit,
                    json.gas_fee_cap,
                    json.gas_premium,
                    json.method,
                    json.params,
                )
            } else {
                Tuple::deserialize(deserializer)?
            };
        Ok(Self {
            version,
            to,
            from,
            nonce,
            value: value.0,
            gas_limit,
            gas_fee_cap: cap.0,
            gas_premium: premium.0,
            method,
            params,
        })
    }
}

impl Message {
    /// The message's own CID; a BLS-signed message goes by it, a secp256k1-signed one by [`SignedMessage::cid`].
    pub fn cid(&self) -> Result<Cid, CborError> {
        Ok(dag_cbor_blake2b(&to_cbor(self)?))
    }

    /// What its sender signs: the bytes of its CID.
    pub fn signing_bytes(&self) -> Result<Vec<u8>, CborError> {
        Ok(self.cid()?.to_bytes())
    }
}

/// A message with its sender's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SignedMessage {
    /// What was signed.
    pub message: Message,
    /// By the sender's key.
    pub signature: Signature,
}

/// Why a signed message does not prove its sender.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The message cannot be hashed.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// The signature is not the sender's.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl SignedMessage {
    /// The CID the message pool answers: of message and signature, except for BLS, where it is the message's own.
    pub fn cid(&self) -> Result<Cid, CborError> {
        if self.signature.kind == SignatureKind::Bls {
            return self.message.cid();
        }
        Ok(dag_cbor_blake2b(&to_cbor(&(&self.message, &self.signature))?))
    }

    /// Checks the signature against `key`, the sender's f1 address (resolve id addresses first).
    pub fn verify(&self, key: &Address) -> Result<(), VerifyError> {
        Ok(self.signature.verify(&self.message.signing_bytes()?, key)?)
    }
}
