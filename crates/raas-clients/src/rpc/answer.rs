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
