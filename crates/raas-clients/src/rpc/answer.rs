//! JSON-RPC answers as they come over the wire.

use super::classify::ErrorObject;
use super::error::CallError;
use super::reply::Reply;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) id: Value,
    #[serde(default)]
    pub(super) result: Reply,
    #[serde(default)]
    pub(super) error: Option<ErrorObject>,
    /// Of a message that is no answer but tells something.
    #[serde(default)]
    pub(super) method: Option<String>,
    /// It was beyond the cap and is not here, in words.
    #[serde(skip)]
    pub(super) too_much: Option<String>,
}

impl Answer {
    /// In place of one that is larger than `cap` bytes.
    pub(super) fn beyond(cap: usize) -> Self {
        let too_much = Some(format!("an answer of more than {cap} bytes"));
        Self { id: Value::Null, result: Reply::default(), error: None, method: None, too_much }
    }
}

/// The answers of a body that holds one or a batch.
pub(super) fn one_or_many(body: &[u8]) -> Result<Vec<Answer>, CallError> {
    // An untagged enum would read everything twice: a batch about a whole provider is tens of megabytes.
    let read = match body.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice(body),
        _ => serde_json::from_slice(body).map(|one| vec![one]),
    };
    read.map_err(CallError::malformed)
}
