//! The result of a call, as text until whoever asked says what it is.

use super::error::CallError;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A result in JSON. A tree of it would cost several times what reading it as what it is costs, and an answer about a
/// whole provider has a million nodes.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Reply(Box<RawValue>);

impl Reply {
    /// The result as `T`, which may borrow from it.
    pub(crate) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, CallError> {
        serde_json::from_str(self.0.get()).map_err(CallError::malformed)
    }

    /// Whether there is none.
    pub(crate) fn is_null(&self) -> bool {
        self.0.get() == "null"
    }
}

/// No result.
impl Default for Reply {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

/// Two endpoints that write the same differently are read first: see `Pool::agreed`.
impl PartialEq for Reply {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

#[cfg(test)]
impl From<serde_json::Value> for Reply {
    fn from(value: serde_json::Value) -> Self {
        Self(serde_json::value::to_raw_value(&value).expect("JSON"))
    }
}
