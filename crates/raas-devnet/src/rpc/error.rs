//! The one error type of every method, with the codes and texts of a Lotus node.

use serde_json::Value;

/// What a JSON-RPC answer says when it is no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct RpcError {
    /// -326xx of JSON-RPC, 1 for unregistered errors, or a registered code (3 reverted, 11 actor, 12 null round).
    pub code: i64,
    /// The text clients match on.
    pub message: String,
    /// Further data, such as revert bytes.
    pub data: Option<Value>,
}

impl RpcError {
    /// An unregistered error, code 1 as Lotus sends it.
    #[must_use]
    pub fn other(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into(), data: None }
    }

    /// An error with a registered code.
    #[must_use]
    pub fn coded(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// Parameters that cannot be read.
    #[must_use]
    pub fn params(method: &str, why: impl std::fmt::Display) -> Self {
        Self::coded(-32602, format!("unmarshaling params for '{method}': {why}"))
    }

    /// A wrong number of parameters.
    #[must_use]
    pub fn param_count(method: &str, got: usize, want: usize) -> Self {
        Self::coded(-32602, format!("wrong param count (method '{method}'): {got} != {want}"))
    }

    /// A method this network does not have.
    #[must_use]
    pub fn unknown_method(method: &str) -> Self {
        Self::coded(-32601, format!("method '{method}' not found"))
    }
}

impl From<crate::world::TipsetError> for RpcError {
    fn from(error: crate::world::TipsetError) -> Self {
        use crate::world::TipsetError::NullRound;
        let message = error.to_string();
        match error {
            NullRound(epoch) => Self { code: 12, message, data: Some(epoch.into()) },
            _ => Self::other(message),
        }
    }
}
