//! [`Kubo`]: the calls, and how each is sent.

use super::answer::{Answer, parse, words_of};
use super::error::KuboError;
use crate::http;
use cid::Cid;
use raas_piece::block::{MAX_BLOCK_BYTES, verify};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use url::Url;

/// Most bytes of an answer that is no stream, and of one line of a stream.
pub(super) const ANSWER_BYTES: usize = 1 << 20;

/// Where Kubo's RPC is.
pub struct KuboConfig {
    /// `http` or `https`, without `/api/v0`.
    pub url: Url,
    /// Bearer token, where the RPC wants one (`API.Authorizations`).
    pub token: Option<String>,
    /// How long is waited.
    pub limits: KuboLimits,
}

/// Bounds on every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KuboLimits {
    /// From the last byte sent to the first of the answer. Kubo pins in this time, which takes long for a large DAG.
    pub answer: Duration,
    /// No byte sent or received for this long ends a call.
    pub no_progress: Duration,
}

impl Default for KuboLimits {
    fn default() -> Self {
        Self { answer: Duration::from_secs(600), no_progress: Duration::from_secs(60) }
    }
}

/// What Kubo says it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Version {
    /// Such as 0.43.0.
    pub version: String,
}

/// A Kubo node.
pub struct Kubo {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
    authorization: Option<HeaderValue>,
    pub(super) limits: KuboLimits,
}

impl fmt::Debug for Kubo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, token) = (self.base.host_str(), self.token.as_ref().map(|_| "redacted"));
        f.debug_struct("Kubo").field("host", &host).field("token", &token).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pins {
    pins: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    cid: String,
}

/// Of an answer that is no success.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    message: String,
}

impl Kubo {
    /// A client; nothing is sent yet.
    pub fn new(config: KuboConfig) -> Result<Self, KuboError> {
        let wrong = |key, why| KuboError::Config { key, why };
        let mut base = config.url;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(wrong("url", "a URL that begins with http or https is needed"));
        }
        let path = format!("{}/api/v0/", base.path().trim_end_matches('/'));
        base.set_path(&path);
        base.set_query(None);
        let authorization = match &config.token {
            None => None,
            Some(token) => {
                let no_header =
                    |_| wrong("token_file", "the token has characters that no HTTP header may have");
                let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(no_header)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let http = http::trusted(&base).map_err(|_| wrong("url", "no HTTP client can be made for it"))?;
        Ok(Self { http, base, token: config.token, authorization, limits: config.limits })
    }

    /// What it says it is; shows that it is there.
    pub async fn version(&self) -> Result<Version, KuboError> {
        let call = "version";
        parse(call, &self.ask(call, &[]).await?.whole(ANSWER_BYTES).await?)
    }

    /// Pins the whole DAG under `root`; what Kubo does not have it gets from its network.
    pub async fn pin_add(&self, root: &Cid) -> Result<(), KuboError> {
        let call = "pin/add";
        let answer = self.ask(call, &[("arg", &root.to_string())]).await?;
        let done: Pins = parse(call, &answer.whole(ANSWER_BYTES).await?)?;
        confirmed(root, &done)
    }

    /// Ends a recursive pin.
    pub async fn pin_rm(&self, root: &Cid) -> Result<(), KuboError> {
        let call = "pin/rm";
        let answer = self.ask(call, &[("arg", &root.to_string())]).await?;
        let done: Pins = parse(call, &answer.whole(ANSWER_BYTES).await?)?;
        confirmed(root, &done)
    }

    /// Passes every root that is pinned recursively to `take`; there may be millions.
    pub async fn pin_ls(&self, mut take: impl FnMut(Cid)) -> Result<(), KuboError> {
        let call = "pin/ls";
        let answer = self.ask(call, &[("type", "recursive"), ("stream", "true")]).await?;
        answer
            .each(ANSWER_BYTES, |listed: Listed| {
                take(listed.cid.parse().map_err(|_| KuboError::Answer { call, what: "a pin is no CID" })?);
                Ok(())
            })
            .await
    }

    /// One block, hashed here.
    pub async fn block(&self, cid: &Cid) -> Result<Vec<u8>, KuboError> {
        let answer = self.ask("block/get", &[("arg", &cid.to_string())]).await?;
        let data = answer.whole(MAX_BLOCK_BYTES).await?;
        verify(cid, &data)?;
        Ok(data)
    }

    /// A call without a body.
    pub(super) async fn ask(&self, call: &'static str, query: &[(&str, &str)]) -> Result<Answer, KuboError> {
        let sending = self.request(call, query)?.send();
        let answered = tokio::time::timeout(self.limits.answer, sending).await;
        let response = answered.map_err(|_| self.unanswered(call))?;
        self.answer(call, response).await
    }

    /// A request with the token. Kubo takes POST only.
    pub(super) fn request(
        &self,
        call: &'static str,
        query: &[(&str, &str)],
    ) -> Result<reqwest::RequestBuilder, KuboError> {
        let mut url = self
            .base
            .join(call)
            .map_err(|_| KuboError::Config { key: "url", why: "no path fits behind it" })?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.post(url);
        Ok(match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        })
    }

    pub(super) fn unanswered(&self, call: &'static str) -> KuboError {
        KuboError::TooSlow { call, seconds: self.limits.answer.as_secs() }
    }

    /// The body of a success, or why it is none.
    pub(super) async fn answer(
        &self,
        call: &'static str,
        response: reqwest::Result<reqwest::Response>,
    ) -> Result<Answer, KuboError> {
        let response =
            response.map_err(|error| KuboError::Unreachable { call, reason: http::reason(&error) })?;
        let status = response.status().as_u16();
        let answer = Answer::new(call, response, self.limits.no_progress, self.token.clone());
        match status {
            200 => Ok(answer),
            401 | 403 => Err(KuboError::Unauthorized { call, status }),
            status => {
                let body = answer.whole(ANSWER_BYTES).await?;
                let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_else(|_| Refusal {
                    message: "it does not say why; see that kubo.url names Kubo's RPC".to_owned(),
                });
                Err(KuboError::Refused { call, status, message: self.words(&refusal.message) })
            }
        }
    }

    pub(super) fn words(&self, text: &str) -> String {
        words_of(text, self.token.as_deref())
    }
}

/// Whether an answer names what was asked for, in whatever spelling.
fn confirmed(root: &Cid, done: &Pins) -> Result<(), KuboError> {
    if done.pins.iter().any(|pin| pin.parse().is_ok_and(|pin: Cid| pin == *root)) {
        return Ok(());
    }
    Err(KuboError::NotPinned { root: root.to_string(), message: "its answer does not name it".to_owned() })
}

/// Kubo's `{"/": "bafy…"}`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Link(BTreeMap<String, String>);

impl Link {
    pub(super) fn cid(&self) -> Option<Cid> {
        self.0.get("/")?.parse().ok()
    }
}
