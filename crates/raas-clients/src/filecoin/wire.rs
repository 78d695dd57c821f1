//! JSON of the native RPC as far as it is read here, and calls that several files build.

use crate::address::Address;
use crate::cbor;
use crate::rpc::{Call, CallError, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use raas_core::ids::ActorId;
use raas_core::units::AttoFil;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Burnt funds: an account on every network, so it can stand as the sender of a simulated call.
const NEUTRAL_SENDER: ActorId = ActorId(99);
/// The market actor.
pub(crate) const MARKET: ActorId = ActorId(5);

/// A CID in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// In text.
    #[serde(rename = "/")]
    pub(crate) cid: String,
}

/// A tipset: the blocks of one height.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TipSet {
    pub(crate) cids: Vec<Link>,
    #[serde(default)]
    pub(crate) blocks: Vec<Block>,
    pub(crate) height: i64,
}

/// A block's header.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Block {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) parents: Vec<Link>,
    #[serde(default)]
    pub(crate) timestamp: i64,
    #[serde(default)]
    pub(crate) parent_base_fee: Option<String>,
}

impl TipSet {
    /// Its key as rounds write it: the blocks' CIDs with commas between.
    pub(crate) fn key(&self) -> String {
        key_text(&self.cids)
    }

    /// The key of its parent, empty for genesis.
    pub(crate) fn parents(&self) -> &[Link] {
        self.blocks.first().map_or(&[], |block| block.parents.as_slice())
    }
}

/// JSON null and an absent list are an empty list.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn key_text(links: &[Link]) -> String {
    links.iter().map(|link| link.cid.as_str()).collect::<Vec<_>>().join(",")
}

/// A tipset key from a round's text to what calls take.
pub(crate) fn key_of_text(key: &str) -> Value {
    Value::Array(key.split(',').filter(|cid| !cid.is_empty()).map(|cid| json!({"/": cid})).collect())
}

/// A tipset key from links.
pub(crate) fn key_value(links: &[Link]) -> Value {
    json!(links)
}

/// An amount in a decimal string.
pub(crate) fn amount(text: &str) -> Result<AttoFil, CallError> {
    text.parse().map_err(|_| CallError::malformed(format!("{text:?} is no amount in attoFIL")))
}

/// The number of an id address in text, `f` or `t`.
pub(crate) fn actor_id(text: &str) -> Result<ActorId, CallError> {
    match text.parse() {
        Ok(Address::Id(id)) => Ok(id),
        _ => Err(CallError::malformed(format!("{text:?} is no id address"))),
    }
}

/// The outcome of a simulated call. A failing actor is no RPC error: it has an exit code here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) exit_code: i64,
    pub(crate) returned: Vec<u8>,
}

/// `method` of actor `to`, simulated on the state at `tipset`.
pub(crate) fn state_call(to: ActorId, method: u64, params: &[u8], tipset: &Value) -> Call {
    let message = json!({
        "Version": 0, "To": Address::Id(to).to_string(), "From": Address::Id(NEUTRAL_SENDER).to_string(),
        "Nonce": 0, "Value": "0", "GasLimit": 0, "GasFeeCap": "0", "GasPremium": "0",
        "Method": method, "Params": BASE64.encode(params),
    });
    Call::new("Filecoin.StateCall", vec![message, tipset.clone()])
}

/// What [`state_call`] answers.
pub(crate) fn receipt(value: &Reply) -> Result<Receipt, CallError> {
    #[derive(Deserialize)]
    struct Invocation {
        #[serde(rename = "MsgRct")]
        receipt: Option<Wire>,
    }
    #[derive(Deserialize)]
    struct Wire {
        #[serde(rename = "ExitCode")]
        exit_code: i64,
        #[serde(rename = "Return", default, deserialize_with = "or_default")]
        returned: String,
    }
    let invocation: Invocation = value.read()?;
    let wire = invocation.receipt.ok_or_else(|| CallError::malformed("a call without a receipt"))?;
    let returned = BASE64.decode(wire.returned).map_err(CallError::malformed)?;
    Ok(Receipt { exit_code: wire.exit_code, returned })
}

/// A number as a CBOR parameter.
pub(crate) fn number_param(number: u64) -> Vec<u8> {
    cbor::encode(&number)
}

/// The base64 of `value` in CBOR, as event filters and entries hold it.
pub(crate) fn base64_cbor<T: Serialize>(value: &T) -> String {
    BASE64.encode(cbor::encode(value))
}

/// Reads what [`base64_cbor`] writes.
pub(crate) fn from_base64_cbor<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, CallError> {
    let bytes = BASE64.decode(text).map_err(CallError::malformed)?;
    serde_ipld_dagcbor::from_slice(&bytes).map_err(CallError::malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_call_has_the_known_form() {
        let call = state_call(MARKET, 2_567_238_399, &number_param(1000), &Value::Null);
        assert!(format!("{call:?}").contains("GQPo"), "{call:?}");
        let receipt_of = |text: &str| receipt(&serde_json::from_str(text).expect("JSON"));
        let active = receipt_of(r#"{"MsgRct":{"ExitCode":0,"Return":"ghoAYCFgIA==","GasUsed":1}}"#);
        let active = active.expect("a receipt");
        let terms: (i64, i64) = serde_ipld_dagcbor::from_slice(&active.returned).expect("two numbers");
        assert_eq!((active.exit_code, terms), (0, (6_300_000, -1)));
        let gone = receipt_of(r#"{"MsgRct":{"ExitCode":32,"Return":null,"GasUsed":1},"Error":"x"}"#);
        assert_eq!(gone, Ok(Receipt { exit_code: 32, returned: vec![] }));
        assert!(receipt_of(r#"{"MsgRct":null}"#).is_err());
    }

    #[test]
    fn event_values_have_the_known_form() {
        assert_eq!(base64_cbor(&"deal-published"), "bmRlYWwtcHVibGlzaGVk");
        assert_eq!(base64_cbor(&17_705_u64), "GUUp");
        assert_eq!(from_base64_cbor::<u64>("GgVIsYs="), Ok(88_650_123));
    }

    #[test]
    fn a_key_keeps_its_order() {
        let key = key_of_text("bafya,bafyb");
        assert_eq!(key, json!([{"/": "bafya"}, {"/": "bafyb"}]));
        assert_eq!(key_of_text(""), json!([]));
    }
}
