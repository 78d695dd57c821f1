//! [`Answer`]: a body piece by piece, with its deadline, its cap and its trailer.

use super::error::KuboError;
use crate::http;
use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The trailer by which Kubo says that an answer which began well failed.
const STREAM_ERROR: &str = "x-stream-error";
/// Most characters of Kubo's words that are passed on.
const WORDS_MAX: usize = 300;

/// An answer with HTTP status 200 on its way.
pub(super) struct Answer {
    pub(super) call: &'static str,
    body: reqwest::Body,
    no_progress: Duration,
    token: Option<String>,
}

impl Answer {
    pub(super) fn new(
        call: &'static str,
        response: reqwest::Response,
        no_progress: Duration,
        token: Option<String>,
    ) -> Self {
        Self { call, body: response.into(), no_progress, token }
    }

    /// The next bytes; `None` at an end that is one.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, KuboError> {
        let call = self.call;
        loop {
            let frame = tokio::time::timeout(self.no_progress, self.body.frame())
                .await
                .map_err(|_| KuboError::TooSlow { call, seconds: self.no_progress.as_secs() })?;
            let frame = match frame {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(KuboError::Broken { call, reason: http::reason(&error) });
                }
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(frame) => {
                    let trailer = frame.trailers_ref().and_then(|trailers| trailers.get(STREAM_ERROR));
                    if let Some(words) = trailer {
                        let message =
                            words_of(&String::from_utf8_lossy(words.as_bytes()), self.token.as_deref());
                        return Err(KuboError::Stream { call, message });
                    }
                }
            }
        }
    }

    /// All of it, at most `limit` bytes.
    pub(super) async fn whole(mut self, limit: usize) -> Result<Vec<u8>, KuboError> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.next().await? {
            if whole.len() + chunk.len() > limit {
                return Err(KuboError::TooLarge { call: self.call, limit });
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }

    /// One value of JSON after the other, each in a line of at most `limit` bytes.
    pub(super) async fn each<T: DeserializeOwned>(
        mut self,
        limit: usize,
        mut take: impl FnMut(T) -> Result<(), KuboError>,
    ) -> Result<(), KuboError> {
        let call = self.call;
        let mut line = Vec::new();
        while let Some(mut chunk) = self.next().await? {
            while chunk.has_remaining() {
                let end = chunk.iter().position(|byte| *byte == b'\n');
                let part = chunk.split_to(end.map_or(chunk.len(), |end| end + 1));
                if line.len() + part.len() > limit {
                    return Err(KuboError::TooLarge { call, limit });
                }
                line.extend_from_slice(&part);
                if end.is_some() {
                    if !line.trim_ascii().is_empty() {
                        take(parse(call, &line)?)?;
                    }
                    line.clear();
                }
            }
        }
        if line.trim_ascii().is_empty() { Ok(()) } else { take(parse(call, &line)?) }
    }
}

/// A value of JSON. What does not fit is not quoted: it is not Kubo's.
pub(super) fn parse<T: DeserializeOwned>(call: &'static str, bytes: &[u8]) -> Result<T, KuboError> {
    serde_json::from_slice(bytes).map_err(|_| KuboError::Answer { call, what: "no JSON of the known form" })
}

/// Words from outside on one line, not too many, and never with the token that was sent there.
pub(super) fn words_of(text: &str, token: Option<&str>) -> String {
    let text = match token {
        Some(token) if !token.is_empty() => text.replace(token, "[token]"),
        _ => text.to_owned(),
    };
    let line = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(WORDS_MAX).collect()
}
