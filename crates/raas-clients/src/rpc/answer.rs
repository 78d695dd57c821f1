//! JSON-RPC answers as they come over the wire.

use super::classify::ErrorObject;
use super::error::CallError;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) id: Value,
    #[serde(default)]
    pub(super) result: Value,
    #[serde(default)]
    pub(super) error: Option<ErrorObject>,
    /// It was beyond the cap and is not here, in words.
    #[serde(skip)]
    pub(super) too_much: Option<String>,
}

impl Answer {
    /// In place of one that is larger than `cap` bytes.
    pub(super) fn beyond(cap: usize) -> Self {
        let too_much = Some(format!("an answer of more than {cap} bytes"));
        Self { id: Value::Null, result: Value::Null, error: None, too_much }
    }
}

/// The answers of a body that holds one or a batch.
pub(super) fn one_or_many(body: &[u8]) -> Result<Vec<Answer>, CallError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Body {
        Many(Vec<Answer>),
        One(Answer),
    }
    match serde_json::from_slice(body) {
        Ok(Body::Many(many)) => Ok(many),
        Ok(Body::One(one)) => Ok(vec![one]),
        Err(error) => Err(CallError::malformed(error)),
    }
}
