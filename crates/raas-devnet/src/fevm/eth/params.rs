//! Parameters of `eth_*` methods, read once at the edge.

use crate::{fevm::Trial, rpc::RpcError};
use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::{Map, Value};
use std::str::FromStr;

/// A method's name and its positional parameters. Trailing ones may be absent or null.
#[derive(Clone, Copy, Debug)]
pub(super) struct Params<'a> {
    pub(super) method: &'a str,
    values: &'a [Value],
}

/// Which block a read asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BlockRef {
    Tag(String),
    Number(u64),
    Hash(B256),
}

impl<'a> Params<'a> {
    /// `params` of a request: an array, or nothing.
    pub(super) fn new(method: &'a str, params: &'a Value) -> Result<Self, RpcError> {
        match params {
            Value::Null => Ok(Self { method, values: &[] }),
            Value::Array(values) => Ok(Self { method, values }),
            _ => Err(RpcError::params(method, "params must be an array")),
        }
    }

    pub(super) fn error(&self, why: impl std::fmt::Display) -> RpcError {
        RpcError::params(self.method, why)
    }

    /// Refuses more or fewer parameters than the method takes.
    pub(super) fn count(&self, least: usize, most: usize) -> Result<(), RpcError> {
        let got = self.values.len();
        let want = if got < least { least } else { most };
        if (least..=most).contains(&got) {
            Ok(())
        } else {
            Err(RpcError::param_count(self.method, got, want))
        }
    }

    pub(super) fn get(&self, index: usize) -> &'a Value {
        self.values.get(index).unwrap_or(&Value::Null)
    }

    pub(super) fn flag(&self, index: usize) -> bool {
        self.get(index).as_bool().unwrap_or(false)
    }

    pub(super) fn address(&self, index: usize) -> Result<Address, RpcError> {
        self.parse(self.get(index), "address")
    }

    pub(super) fn hash(&self, index: usize) -> Result<B256, RpcError> {
        self.parse(self.get(index), "32-byte hash")
    }

    pub(super) fn bytes(&self, index: usize) -> Result<Bytes, RpcError> {
        self.parse(self.get(index), "0x-prefixed bytes")
    }

    pub(super) fn quantity(&self, index: usize) -> Result<U256, RpcError> {
        quantity(self.get(index)).ok_or_else(|| self.error(format!("parameter {index} is no 0x quantity")))
    }

    /// The block at `index`: a tag, a number, or `{blockNumber}` / `{blockHash}`; `latest` when absent.
    pub(super) fn block(&self, index: usize) -> Result<BlockRef, RpcError> {
        match self.get(index) {
            Value::Null => Ok(BlockRef::Tag("latest".to_owned())),
            Value::Object(fields) => {
                if let Some(hash) = fields.get("blockHash").filter(|value| !value.is_null()) {
                    return Ok(BlockRef::Hash(self.parse(hash, "32-byte hash")?));
                }
                self.block_value(fields.get("blockNumber").unwrap_or(&Value::Null))
            }
            // A 32-byte string is a hash where methods take both.
            Value::String(text) if text.len() == 66 => {
                Ok(BlockRef::Hash(self.parse(self.get(index), "hash")?))
            }
            value => self.block_value(value),
        }
    }

    /// The block that a field of an object names.
    pub(super) fn block_of(&self, value: &Value) -> Result<BlockRef, RpcError> {
        self.block_value(value)
    }

    fn block_value(&self, value: &Value) -> Result<BlockRef, RpcError> {
        if let Some(number) = quantity(value) {
            return Ok(BlockRef::Number(number.saturating_to()));
        }
        match value.as_str() {
            Some(tag @ ("latest" | "pending" | "safe" | "finalized" | "earliest")) => {
                Ok(BlockRef::Tag(tag.to_owned()))
            }
            _ => Err(self.error("block must be a tag, a 0x number or a block hash")),
        }
    }

    /// The message of a call or an estimate.
    pub(super) fn trial(&self, index: usize) -> Result<Trial, RpcError> {
        let Value::Object(fields) = self.get(index) else {
            return Err(self.error("the transaction must be an object"));
        };
        let data: Option<Bytes> = match self.field(fields, "input")? {
            Some(input) => Some(input),
            None => self.field(fields, "data")?,
        };
        let value = match fields.get("value") {
            None | Some(Value::Null) => U256::ZERO,
            Some(value) => quantity(value).ok_or_else(|| self.error("value is no 0x quantity"))?,
        };
        Ok(Trial {
            from: self.field(fields, "from")?,
            to: self.field(fields, "to")?,
            value,
            data: data.unwrap_or_default(),
        })
    }

    fn field<T: FromStr>(&self, fields: &Map<String, Value>, name: &str) -> Result<Option<T>, RpcError> {
        match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => self.parse(value, name).map(Some),
        }
    }

    pub(super) fn parse<T: FromStr>(&self, value: &Value, what: &str) -> Result<T, RpcError> {
        value
            .as_str()
            .filter(|text| text.starts_with("0x"))
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.error(format!("expected {what} as 0x hex, got {value}")))
    }
}

/// A 0x number, or a JSON one, as some clients send for counts.
pub(super) fn quantity(value: &Value) -> Option<U256> {
    match value {
        Value::Number(number) => number.as_u64().map(U256::from),
        Value::String(text) => {
            let digits = text.strip_prefix("0x").filter(|digits| !digits.is_empty() && digits.len() <= 64)?;
            U256::from_str_radix(digits, 16).ok()
        }
        _ => None,
    }
}
