//! Numbers and bytes in the JSON of Ethereum.

use alloy_primitives::{Address, B256, U256};
use serde_json::Value;

/// A quantity: 0x and no leading zeros.
pub(super) fn quantity(number: impl TryInto<U256>) -> Value {
    let number: U256 = number.try_into().unwrap_or_default();
    Value::String(format!("{number:#x}"))
}

/// A height; none is negative.
pub(super) fn height(height: i64) -> Value {
    Value::String(format!("{:#x}", height.max(0)))
}

/// An index into a list.
pub(super) fn index(index: usize) -> Value {
    Value::String(format!("{index:#x}"))
}

/// An address in lower case, as nodes print it.
pub(super) fn address(address: &Address) -> Value {
    bytes(address.as_slice())
}

/// 32 bytes.
pub(super) fn word(word: impl Into<B256>) -> Value {
    let word: B256 = word.into();
    bytes(word.as_slice())
}

/// Bytes of any length.
pub(super) fn bytes(bytes: &[u8]) -> Value {
    Value::String(format!("0x{}", ::hex::encode(bytes)))
}
