//! Native messages: their CBOR, their CIDs, their JSON.

use crate::address::Address;
use crate::cbor::{BigInt, blake2b_cid, encode};
use crate::filecoin::Link;
use crate::key::Key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use raas_core::ports::{Fees, SignedTx};
use raas_core::units::AttoFil;
use serde::Serialize;
use serde_json::{Value, json};

/// Method of the market actor that adds to an escrow. Accounts may call it by its own number; contracts must use
/// the FRC-42 number 822473126.
pub(super) const ADD_BALANCE: u64 = 2;

/// A message before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) to: Address,
    pub(super) from: Address,
    pub(super) nonce: u64,
    pub(super) value: AttoFil,
    pub(super) gas_limit: u64,
    pub(super) fees: Fees,
    pub(super) method: u64,
    /// CBOR.
    pub(super) params: Vec<u8>,
}

#[derive(Serialize)]
struct Tuple<'a>(
    u64,
    &'a Address,
    &'a Address,
    u64,
    BigInt,
    u64,
    BigInt,
    BigInt,
    u64,
    #[serde(with = "serde_bytes")] &'a [u8],
);

#[derive(Serialize)]
struct Signed<'a>(Tuple<'a>, #[serde(with = "serde_bytes")] &'a [u8]);

impl Message {
    /// Escrow of `amount` for `from` itself; gas and fees are to be filled in.
    pub(super) fn add_balance(from: Address, nonce: u64, amount: AttoFil) -> Self {
        Self {
            to: Address::Id(raas_core::ids::ActorId(5)),
            params: encode(&from),
            from,
            nonce,
            value: amount,
            gas_limit: 0,
            fees: Fees::default(),
            method: ADD_BALANCE,
        }
    }

    fn tuple(&self) -> Tuple<'_> {
        Tuple(
            0,
            &self.to,
            &self.from,
            self.nonce,
            BigInt(self.value),
            self.gas_limit,
            BigInt(self.fees.fee_cap),
            BigInt(self.fees.premium),
            self.method,
            &self.params,
        )
    }

    /// As the RPC takes it.
    pub(super) fn json(&self) -> Value {
        json!({
            "Version": 0,
            "To": self.to.to_string(),
            "From": self.from.to_string(),
            "Nonce": self.nonce,
            "Value": self.value.to_string(),
            "GasLimit": self.gas_limit,
            "GasFeeCap": self.fees.fee_cap.to_string(),
            "GasPremium": self.fees.premium.to_string(),
            "Method": self.method,
            "Params": BASE64.encode(&self.params),
        })
    }

    /// Signs the message's CID. The signed message has a CID of its own, by which it is looked up.
    pub(super) fn sign(&self, key: &Key) -> SignedTx {
        let cid = blake2b_cid(&encode(&self.tuple()));
        let signature = key.sign_native(&cid.to_bytes());
        let hash = blake2b_cid(&encode(&Signed(self.tuple(), &signature))).to_string();
        let data = signature.get(1..).unwrap_or_default();
        let raw = json!({
            "Message": self.json(),
            "Signature": {"Type": 1, "Data": BASE64.encode(data)},
            "CID": Link { cid: hash.clone() },
        });
        SignedTx { raw: raw.to_string().into_bytes(), hash, fees: self.fees }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_chains_form() {
        let key = Key::from_bytes(&[1; 32]).expect("a key");
        let mut message = Message::add_balance(key.native_address(), 5, AttoFil(255));
        message.gas_limit = 1_000;
        message.fees = Fees { fee_cap: AttoFil(200), premium: AttoFil(0) };
        let expected = concat!(
            "8a00",                                           // ten fields, version 0
            "420005",                                         // to f05
            "550154a9b54edcb9f0072e768f79e0ec8f2cbb6bde05",   // from the f1 address
            "05",                                             // nonce
            "4200ff",                                         // value 255
            "1903e8",                                         // gas limit
            "4200c8",                                         // fee cap 200
            "40",                                             // premium 0
            "02",                                             // AddBalance
            "56550154a9b54edcb9f0072e768f79e0ec8f2cbb6bde05", // the address as a CBOR byte string
        );
        assert_eq!(hex::encode(encode(&message.tuple())), expected);
        let signed = message.sign(&key);
        assert_eq!(signed, message.sign(&key), "deterministic");
        assert!(signed.hash.starts_with("bafy2bzace"));
        let json: Value = serde_json::from_slice(&signed.raw).expect("JSON");
        assert_eq!(json["Message"]["To"], "f05");
        assert_eq!(json["Message"]["Value"], "255");
        assert_eq!(json["Signature"]["Type"], 1);
    }
}
