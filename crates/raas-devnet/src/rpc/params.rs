//! Positional parameters of native methods, counted exactly and read once.

use super::RpcError;
use crate::{codec::Address, world::read_address};
use cid::Cid;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A method's name and its parameters, whose number has been checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Params<'a> {
    method: &'a str,
    values: &'a [Value],
}

impl<'a> Params<'a> {
    /// Checks that `params` is an array of exactly `count` values; absent params are an empty array.
    pub(super) fn new(method: &'a str, params: &'a Value, count: usize) -> Result<Self, RpcError> {
        Self::between(method, params, count, count)
    }

    /// Checks that `params` is an array of `least` to `most` values.
    pub(super) fn between(
        method: &'a str,
        params: &'a Value,
        least: usize,
        most: usize,
    ) -> Result<Self, RpcError> {
        let values: &[Value] = match params {
            Value::Null => &[],
            Value::Array(values) => values,
            _ => return Err(RpcError::params(method, "params must be an array")),
        };
        if values.len() < least || values.len() > most {
            return Err(RpcError::param_count(method, values.len(), least));
        }
        Ok(Self { method, values })
    }

    pub(super) fn value(&self, index: usize) -> &'a Value {
        self.values.get(index).unwrap_or(&Value::Null)
    }

    /// The parameter at `index` as `T`.
    pub(super) fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, RpcError> {
        T::deserialize(self.value(index))
            .map_err(|error| RpcError::params(self.method, format!("param {index}: {error}")))
    }

    /// An address in any form; f and t are the same.
    pub(super) fn address(&self, index: usize) -> Result<Address, RpcError> {
        let text: String = self.get(index)?;
        read_address(&text)
            .ok_or_else(|| RpcError::params(self.method, format!("param {index}: {text} is not an address")))
    }

    /// A CID link.
    pub(super) fn cid(&self, index: usize) -> Result<Cid, RpcError> {
        read_cid(self.value(index)).ok_or_else(|| {
            RpcError::params(self.method, format!("param {index}: a CID link {{\"/\": ..}} is needed"))
        })
    }

    /// A tipset key; null and an empty list are the head.
    pub(super) fn key(&self, index: usize) -> Result<Vec<Cid>, RpcError> {
        read_key(self.value(index)).ok_or_else(|| {
            RpcError::params(self.method, format!("param {index}: a list of CID links or null is needed"))
        })
    }
}

/// A CID link `{"/": "bafy.."}`.
pub(super) fn read_cid(value: &Value) -> Option<Cid> {
    value.get("/")?.as_str()?.parse().ok()
}

/// A list of CID links, or null.
pub(super) fn read_key(value: &Value) -> Option<Vec<Cid>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(links) => links.iter().map(read_cid).collect(),
        _ => None,
    }
}
