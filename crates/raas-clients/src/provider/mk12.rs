//! [`Mk12`]: the Boost deal protocol over plain HTTP, as Curio serves it.
//!
//! A provider's word is a hint. Acceptance means queued; a rejected proposal may still be published; what counts
//! is seen on chain. The worker's signature under an ask is not checked either: the ask only says which proposal
//! has a chance, and whoever forges it gains a rejected one.

use super::wire::{AskRequest, AskResponse, DealResponse, StatusResponse};
use crate::address::Address;
use crate::cbor::encode;
use crate::guard::{self, GuardError, Reach, Redirects};
use crate::http::{self, read_capped};
use raas_core::fleet::Ask;
use raas_core::observation::{NotSeen, ProviderOnChain};
use raas_core::ports::{DealMaker, Effect, Proposed};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use std::time::Duration;

/// Most bytes of an answer.
const ANSWER_MAX: usize = 1 << 20;
/// Most characters of a provider's words that are kept.
const WORDS_MAX: usize = 500;
/// Most addresses of one provider that are tried.
const URLS_MAX: usize = 4;

/// How providers are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mk12Config {
    /// Whether providers on private addresses are reached: on a devnet only.
    pub reach: Reach,
    /// From sending to the last byte of the answer.
    pub deadline: Duration,
}

impl Default for Mk12Config {
    fn default() -> Self {
        Self { reach: Reach::Public, deadline: Duration::from_secs(60) }
    }
}

/// MK12 over HTTP.
#[derive(Clone, Debug)]
pub struct Mk12 {
    http: reqwest::Client,
    config: Mk12Config,
}

/// What a provider says of a deal: a hint, never evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusHint {
    /// Such as `Transferred` or `Processing`; empty when it does not know the deal.
    pub status: String,
    /// Such as `Proving`.
    pub sealing: String,
    /// Its error, empty when there is none.
    pub error: String,
    /// Bytes it has pulled.
    pub received: u64,
    /// Bytes it is to pull.
    pub transfer_size: u64,
}

/// How one exchange with one address went.
enum Exchange {
    /// Nothing was sent.
    NotSent(String),
    /// It was sent; how it went on is not known.
    Broken(String),
    /// An answer with its HTTP status.
    Answered(u16, Vec<u8>),
}

impl Mk12 {
    /// A deal maker.
    pub fn new(config: Mk12Config) -> Result<Self, GuardError> {
        Ok(Self { http: guard::client(config.reach, Redirects::Never)?, config })
    }

    /// Asks how a deal stands; `request` comes from [`crate::wallet::KeyWallet::sign_status_request`].
    pub async fn status(&self, provider: &ProviderOnChain, request: Vec<u8>) -> Result<StatusHint, NotSeen> {
        let body = self.look(provider, "status", request).await?;
        let answer: StatusResponse = serde_ipld_dagcbor::from_slice(&body).map_err(|_| NotSeen::RpcFailed)?;
        let (status, sealing, error) = match answer.deal_status {
            Some(deal) if deal.error.is_empty() => (deal.status, deal.sealing_status, answer.error),
            Some(deal) => (deal.status, deal.sealing_status, deal.error),
            None => (String::new(), String::new(), answer.error),
        };
        Ok(StatusHint {
            status: words(&status),
            sealing: words(&sealing),
            error: words(&error),
            received: answer.received,
            transfer_size: answer.transfer_size,
        })
    }

    /// A question without effect: the first address that answers well counts.
    async fn look(
        &self,
        provider: &ProviderOnChain,
        route: &str,
        request: Vec<u8>,
    ) -> Result<Vec<u8>, NotSeen> {
        let mut reason = NotSeen::RpcFailed;
        for base in provider.urls.iter().take(URLS_MAX) {
            match self.exchange(Method::GET, base, route, request.clone()).await {
                Exchange::Answered(200..=299, body) => return Ok(body),
                Exchange::Answered(404 | 405 | 501, _) => reason = NotSeen::NotOffered,
                Exchange::Answered(..) | Exchange::NotSent(_) | Exchange::Broken(_) => {}
            }
        }
        Err(reason)
    }

    async fn exchange(&self, method: Method, base: &str, route: &str, body: Vec<u8>) -> Exchange {
        let url = format!("{}/market/mk12/{route}", base.trim_end_matches('/'));
        let url = match self.config.reach.check(&url) {
            Ok(url) => url,
            Err(error) => return Exchange::NotSent(error.to_string()),
        };
        let request = self
            .http
            .request(method, url)
            .header(CONTENT_TYPE, "application/cbor")
            .timeout(self.config.deadline)
            .body(body);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() || error.is_builder() => {
                return Exchange::NotSent(http::reason(&error));
            }
            Err(error) => return Exchange::Broken(http::reason(&error)),
        };
        let status = response.status().as_u16();
        match read_capped(response, ANSWER_MAX).await {
            Ok(body) => Exchange::Answered(status, body),
            Err(http::ReadError::TooLarge(cap)) => {
                Exchange::Broken(format!("its answer has more than {cap} bytes"))
            }
            Err(http::ReadError::Broken(reason)) => Exchange::Broken(reason),
        }
    }
}

impl DealMaker for Mk12 {
    async fn ask(&self, provider: &ProviderOnChain) -> Result<Option<Ask>, NotSeen> {
        let miner = Address::Id(provider.provider.0);
        let body = self.look(provider, "ask", encode(&AskRequest { miner: miner.clone() })).await?;
        let answer: AskResponse = serde_ipld_dagcbor::from_slice(&body).map_err(|_| NotSeen::RpcFailed)?;
        Ok(answer.ask(&miner))
    }

    async fn propose(&self, provider: &ProviderOnChain, deal: &[u8]) -> Effect<Proposed> {
        let mut outcome = Effect::Failed("the provider has no HTTP address on chain".to_owned());
        for base in provider.urls.iter().take(URLS_MAX) {
            outcome = match self.exchange(Method::POST, base, "store", deal.to_vec()).await {
                Exchange::NotSent(reason) => Effect::Failed(reason),
                Exchange::Broken(reason) => Effect::Uncertain(reason),
                Exchange::Answered(status, body) => judge(status, &body),
            };
            // Another address leads to the same provider; it is only tried when this one never got the deal.
            if !matches!(outcome, Effect::Failed(_)) {
                break;
            }
        }
        outcome
    }
}

/// What the answer to a proposal says.
fn judge(status: u16, body: &[u8]) -> Effect<Proposed> {
    match status {
        200..=299 => match serde_ipld_dagcbor::from_slice::<DealResponse>(body) {
            Ok(answer) if answer.accepted => Effect::Done(Proposed::Accepted),
            Ok(answer) => Effect::Done(Proposed::Rejected(words(&answer.message))),
            Err(error) => Effect::Uncertain(format!("its answer cannot be read: {error}")),
        },
        // Turned away before anybody looked at the deal.
        301..=308 | 404 | 405 | 415 | 429 | 501 => Effect::Failed(format!("HTTP status {status}")),
        400..=499 => {
            let text = String::from_utf8_lossy(body);
            Effect::Done(Proposed::Rejected(format!("HTTP status {status}: {}", words(&text))))
        }
        _ => Effect::Uncertain(format!("HTTP status {status}")),
    }
}

/// A stranger's text, fit to be shown: short and without control characters.
fn words(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.take(WORDS_MAX).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let answer = |accepted: bool, message: &str| {
            let flag = if accepted { 0xf5 } else { 0xf4 };
            let mut body = vec![0xa2, 0x67];
            body.extend(b"Message");
            body.push(0x60 + u8::try_from(message.len()).expect("short"));
            body.extend(message.as_bytes());
            body.push(0x68);
            body.extend(b"Accepted");
            body.push(flag);
            body
        };
        assert_eq!(judge(200, &answer(true, "")), Effect::Done(Proposed::Accepted));
        assert_eq!(
            judge(200, &answer(false, "price\ttoo low")),
            Effect::Done(Proposed::Rejected("price too low".to_owned()))
        );
        assert!(matches!(judge(200, b"<html>"), Effect::Uncertain(_)));
        assert!(matches!(judge(400, b"bad deal"), Effect::Done(Proposed::Rejected(_))));
        for status in [404, 429, 301] {
            assert!(matches!(judge(status, b""), Effect::Failed(_)), "{status}");
        }
        for status in [500, 502, 504] {
            assert!(matches!(judge(status, b""), Effect::Uncertain(_)), "{status}");
        }
        assert_eq!(words(&"x\n".repeat(2_000)).chars().count(), WORDS_MAX - 1);
    }
}
