//! Numbers of `eth_*` JSON.

use crate::rpc::CallError;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};

/// A number in 0x hex.
pub(crate) fn quantity(text: &str) -> Result<u64, CallError> {
    let digits = text.strip_prefix("0x");
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| CallError::malformed(format!("{text:?} is no number in 0x hex")))
}

/// `number` as `eth_*` takes it.
pub(crate) fn hex_number(number: i64) -> Value {
    json!(format!("0x{:x}", number.max(0)))
}

/// For struct fields that hold a number in 0x hex.
pub(crate) fn de_quantity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    quantity(&text).map_err(de::Error::custom)
}
