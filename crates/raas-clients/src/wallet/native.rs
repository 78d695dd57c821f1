//! Native messages: their CBOR, their CIDs, their JSON.

use super::datacap;
use crate::address::Address;
use crate::cbor::{BigInt, blake2b_cid, encode};
use crate::filecoin::Link;
use crate::key::native_signature;
use crate::rle;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use raas_core::allocation::Allocation;
use raas_core::ids::{ActorId, DealId};
use raas_core::ports::{Quote, SignedTx};
use raas_core::units::AttoFil;
use serde::Serialize;
use serde_json::{Value, json};

/// Method of the market actor that adds to an escrow. Accounts may call it by its own number; contracts must use
/// the FRC-42 number 822473126.
const ADD_BALANCE: u64 = 2;
/// Takes free escrow out again; the FRC-42 number of the same is 2280458852.
const WITHDRAW_BALANCE: u64 = 3;
/// `SettleDealPayments`, which has an FRC-42 number only.
const SETTLE_DEALS: u64 = 1_900_091_594;
/// The market actor.
const MARKET: Address = Address::Id(ActorId(5));
/// The token of DataCap.
const DATACAP: Address = Address::Id(ActorId(7));
/// Most deals settled by one message.
pub(super) const SETTLE_MAX: usize = 1_000;

/// A message before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) to: Address,
    pub(super) from: Address,
    pub(super) nonce: u64,
    pub(super) value: AttoFil,
    /// Gas and fees; nothing before they are known.
    pub(super) quote: Quote,
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
    fn to_market(from: Address, nonce: u64, method: u64, value: AttoFil, params: Vec<u8>) -> Self {
        Self { to: MARKET, from, nonce, value, quote: NOT_YET, method, params }
    }

    /// Escrow of `amount` for `from` itself.
    pub(super) fn add_balance(from: Address, nonce: u64, amount: AttoFil) -> Self {
        let params = encode(&from);
        Self::to_market(from, nonce, ADD_BALANCE, amount, params)
    }

    /// Free escrow of `from` back to it, at most `amount`.
    pub(super) fn withdraw(from: Address, nonce: u64, amount: AttoFil) -> Self {
        let params = encode(&(&from, BigInt(amount)));
        Self::to_market(from, nonce, WITHDRAW_BALANCE, AttoFil::ZERO, params)
    }

    /// Asks the market to settle `deals`.
    pub(super) fn settle(from: Address, nonce: u64, deals: &[DealId]) -> Self {
        let ids: Vec<u64> = deals.iter().map(|deal| deal.0).collect();
        let params = encode(&serde_bytes::ByteBuf::from(rle::encode(&ids)));
        Self::to_market(from, nonce, SETTLE_DEALS, AttoFil::ZERO, params)
    }

    /// DataCap of `from` to the verified registry, which sets it aside for a piece.
    pub(super) fn allocate(from: Address, nonce: u64, allocation: &Allocation) -> Self {
        let params = datacap::transfer(allocation);
        Self { to: DATACAP, ..Self::to_market(from, nonce, datacap::TRANSFER, AttoFil::ZERO, params) }
    }

    /// Money to `to`; nothing to itself only takes a nonce.
    pub(super) fn transfer(from: Address, to: Address, nonce: u64, amount: AttoFil) -> Self {
        Self { to, from, nonce, value: amount, quote: NOT_YET, method: 0, params: Vec::new() }
    }

    fn tuple(&self) -> Tuple<'_> {
        Tuple(
            0,
            &self.to,
            &self.from,
            self.nonce,
            BigInt(self.value),
            self.quote.gas_limit,
            BigInt(self.quote.fees.fee_cap),
            BigInt(self.quote.fees.premium),
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
            "GasLimit": self.quote.gas_limit,
            "GasFeeCap": self.quote.fees.fee_cap.to_string(),
            "GasPremium": self.quote.fees.premium.to_string(),
            "Method": self.method,
            "Params": BASE64.encode(&self.params),
        })
    }

    /// What a signer gets: the message in CBOR. Signed is its CID.
    pub(super) fn payload(&self) -> Vec<u8> {
        encode(&self.tuple())
    }

    /// With its signature. The signed message has a CID of its own, by which it is looked up.
    pub(super) fn signed(&self, signature: [u8; 65]) -> SignedTx {
        let hash = blake2b_cid(&encode(&Signed(self.tuple(), &native_signature(signature)))).to_string();
        let raw = json!({
            "Message": self.json(),
            "Signature": {"Type": 1, "Data": BASE64.encode(signature)},
            "CID": Link { cid: hash.clone() },
        });
        SignedTx {
            raw: raw.to_string().into_bytes(),
            hash,
            fees: self.quote.fees,
            gas_max: self.quote.gas_max(),
            cancels: false,
        }
    }
}

const NOT_YET: Quote =
    Quote { gas_limit: 0, fees: raas_core::ports::Fees { fee_cap: AttoFil::ZERO, premium: AttoFil::ZERO } };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use raas_core::ports::Fees;

    /// The devnet reads messages with code of its own.
    #[test]
    fn deals_to_settle_are_a_bit_field() {
        let message = Message::settle(Address::Id(ActorId(7)), 0, &[DealId(9), DealId(9), DealId(2)]);
        let field: raas_devnet::codec::Bitfield =
            raas_devnet::codec::from_cbor(&message.params).expect("CBOR");
        assert_eq!(field.iter().collect::<Vec<u64>>(), [2, 9]);
    }

    #[test]
    fn a_message_has_the_chains_form() {
        let key = Key::from_bytes(&[1; 32]).expect("a key");
        let mut message = Message::add_balance(key.native_address(), 5, AttoFil(255));
        let fees = Fees { fee_cap: AttoFil(200), premium: AttoFil(0) };
        message.quote = Quote { gas_limit: 1_000, fees };
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
        let sign = |message: &Message| {
            let cid = blake2b_cid(&message.payload()).to_bytes();
            message.signed(key.sign_native(&cid)[1..].try_into().expect("65 bytes"))
        };
        let signed = sign(&message);
        assert_eq!(signed, sign(&message), "deterministic");
        assert_eq!(signed.gas_max, AttoFil(200_000));
        assert!(signed.hash.starts_with("bafy2bzace"));
        let json: Value = serde_json::from_slice(&signed.raw).expect("JSON");
        assert_eq!(json["Message"]["To"], "f05");
        assert_eq!(json["Message"]["Value"], "255");
        assert_eq!(json["Signature"]["Type"], 1);
    }
}
