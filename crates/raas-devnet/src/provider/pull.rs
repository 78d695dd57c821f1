//! Fetching a deal's bytes by HTTP: HEAD, ranged GET, resumption, back-off, and the commitment in the same pass.

use super::car::{Beginning, look};
use super::check::{check_url, is_private};
use super::deal::Pull;
use crate::codec::{CommP, Piece};
use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE};
use reqwest::{Client, Method, Response, StatusCode, redirect};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use url::Url;

/// Tries of one transfer.
const ATTEMPTS: u32 = 15;
/// The pause after the first failure; it doubles.
const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
/// The longest pause.
const BACK_OFF_MAX: Duration = Duration::from_secs(2);
/// How long nothing may come.
const STALL: Duration = Duration::from_secs(30);
/// Redirects followed.
const REDIRECTS: usize = 2;

/// Why an attempt failed.
#[derive(Debug)]
enum Failure {
    /// Trying again cannot help.
    Fatal(String),
    /// It may be over soon.
    Passing(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Fatal(format!("writing to the provider's disk: {error}"))
    }
}

/// An HTTP client that follows no redirect by itself and, unless allowed, resolves no name into a private network.
pub(super) fn client(allow_private: bool) -> Result<Client, reqwest::Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(10));
    if allow_private { builder.build() } else { builder.dns_resolver(PublicOnly).build() }
}

#[derive(Clone, Copy, Debug)]
struct PublicOnly;

impl reqwest::dns::Resolve for PublicOnly {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> = found.into_iter().filter(|at| !is_private(at.ip())).collect();
            if public.is_empty() {
                return Err(format!("{} has no public address", name.as_str()).into());
            }
            Ok(Box::new(public.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

/// Fetches the bytes into `path` and hashes them on the way. `received` follows the progress. Whether they are the
/// bytes agreed upon is for [`Pull::judge`].
pub(super) async fn fetch(
    client: &Client,
    pull: &Pull,
    allow_private: bool,
    path: &Path,
    received: &AtomicU64,
) -> Result<Piece, String> {
    let headers = headers(pull)?;
    let mut sink =
        Sink::create(path).await.map_err(|error| format!("writing to the provider's disk: {error}"))?;
    let mut pause = BACK_OFF_FIRST;
    for attempt in 1..=ATTEMPTS {
        match sink.continue_from(client, pull, &headers, allow_private, received).await {
            Ok(()) => {
                let piece = sink.finish().await?;
                return piece.ok_or_else(|| "more than 64 GiB".to_owned());
            }
            Err(Failure::Fatal(reason)) => return Err(reason),
            Err(Failure::Passing(reason)) if attempt == ATTEMPTS => {
                return Err(format!("{reason} (given up after {ATTEMPTS} attempts)"));
            }
            Err(Failure::Passing(reason)) => {
                tracing::debug!(deal.uuid = %pull.uuid, attempt, reason, "transfer attempt failed");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(BACK_OFF_MAX);
            }
        }
    }
    Err("no attempt was made".to_owned())
}

fn headers(pull: &Pull) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in pull.source.headers.iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("header {name:?} is no header name"))?;
        let value = HeaderValue::from_str(value).map_err(|_| format!("header {name} has no valid value"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// What has come so far.
struct Sink {
    file: tokio::fs::File,
    commp: CommP,
    at: u64,
    /// The first bytes, until they are known to be a CAR's.
    beginning: Option<Vec<u8>>,
}

impl Sink {
    async fn create(path: &Path) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            tokio::fs::create_dir_all(dir).await?;
        }
        let file = tokio::fs::File::create(path).await?;
        Ok(Self { file, commp: CommP::default(), at: 0, beginning: Some(Vec::new()) })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if let Some(beginning) = &mut self.beginning {
            beginning.extend_from_slice(bytes);
            match look(beginning) {
                Beginning::Short => {}
                Beginning::Car => self.beginning = None,
                Beginning::Other(why) => return Err(Failure::Fatal(format!("the data is not a CAR: {why}"))),
            }
        }
        self.commp.update(bytes);
        self.file.write_all(bytes).await?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    async fn finish(mut self) -> Result<Option<Piece>, String> {
        if self.beginning.is_some() {
            return Err("the data is not a CAR: it ends within the header".to_owned());
        }
        let synced = async {
            self.file.flush().await?;
            self.file.sync_all().await
        };
        synced.await.map_err(|error| format!("writing to the provider's disk: {error}"))?;
        Ok(self.commp.finish())
    }

    /// One attempt: what is missing, from where it was left.
    async fn continue_from(
        &mut self,
        client: &Client,
        pull: &Pull,
        headers: &HeaderMap,
        allow_private: bool,
        received: &AtomicU64,
    ) -> Result<(), Failure> {
        let first =
            check_url(&pull.source.url, allow_private).map_err(|error| Failure::Fatal(error.to_string()))?;
        let ask = Ask { client, headers, allow_private };
        let (head, url) = ask.send(Method::HEAD, first, None).await?;
        let length = content_length(&head);
        if length != Some(pull.size) {
            let told = length.map_or("no length".to_owned(), |length| format!("length {length}"));
            return Err(Failure::Fatal(format!("HEAD tells {told}, the transfer size is {}", pull.size)));
        }
        let (response, _) = ask.send(Method::GET, url, Some(self.at)).await?;
        if response.status() == StatusCode::PARTIAL_CONTENT {
            let wanted = format!("bytes {}-", self.at);
            let told = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
            if !told.is_some_and(|told| told.starts_with(&wanted)) {
                return Err(Failure::Fatal(format!("asked for {wanted}, got Content-Range {told:?}")));
            }
        } else if self.at > 0 {
            return Err(Failure::Fatal(format!("asked for a range, got status {}", response.status())));
        }
        let mut body = response.bytes_stream();
        while self.at < pull.size {
            let next = tokio::time::timeout(STALL, body.next())
                .await
                .map_err(|_| Failure::Passing(format!("nothing came for {} s", STALL.as_secs())))?;
            match next {
                Some(Ok(bytes)) if self.at + bytes.len() as u64 > pull.size => {
                    return Err(Failure::Fatal(format!(
                        "more than the transfer size of {} bytes came",
                        pull.size
                    )));
                }
                Some(Ok(bytes)) => self.write(&bytes).await?,
                Some(Err(error)) => {
                    let reason = format!("broke off after {} of {} bytes: {error}", self.at, pull.size);
                    return Err(Failure::Passing(reason));
                }
                None => {
                    return Err(Failure::Passing(format!("ended after {} of {} bytes", self.at, pull.size)));
                }
            }
            received.store(self.at, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn content_length(response: &Response) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

struct Ask<'a> {
    client: &'a Client,
    headers: &'a HeaderMap,
    allow_private: bool,
}

impl Ask<'_> {
    /// Sends one request, follows redirects after checking each, and gives the answer and its URL.
    async fn send(
        &self,
        method: Method,
        mut url: Url,
        from: Option<u64>,
    ) -> Result<(Response, Url), Failure> {
        for _ in 0..=REDIRECTS {
            let mut request = self.client.request(method.clone(), url.clone()).headers(self.headers.clone());
            if let Some(from) = from {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let sent = tokio::time::timeout(STALL, request.send()).await;
            let response = sent
                .map_err(|_| {
                    Failure::Passing(format!("{method} {url}: no answer for {} s", STALL.as_secs()))
                })?
                .map_err(|error| Failure::Passing(format!("{method} {url}: {}", chain(&error))))?;
            let status = response.status();
            if status.is_redirection() {
                url = self.next(&url, &response)?;
                continue;
            }
            let reason = || format!("{method} {url}: status {status}");
            return match status {
                _ if status.is_success() => Ok((response, url)),
                _ if status.is_client_error() => Err(Failure::Fatal(reason())),
                _ => Err(Failure::Passing(reason())),
            };
        }
        Err(Failure::Fatal(format!("more than {REDIRECTS} redirects")))
    }

    fn next(&self, url: &Url, response: &Response) -> Result<Url, Failure> {
        response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|location| url.join(location).ok())
            .ok_or_else(|| Failure::Fatal("a redirect without a location".to_owned()))
            .and_then(|next| {
                check_url(next.as_str(), self.allow_private)
                    .map_err(|error| Failure::Fatal(error.to_string()))
            })
    }
}

/// An error with its causes, which reqwest leaves out of its own text.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
