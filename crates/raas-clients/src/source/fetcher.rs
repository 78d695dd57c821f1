//! [`Fetcher`]: opens downloads.

use super::download::{Again, Download, FetchError};
use crate::guard::{self, GuardError, Reach, Redirects};
use raas_core::cid::{Commitment, DataCid};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use std::ops::Range;
use std::time::Duration;

/// The media type of a CAR, which a gateway must name in its answer.
const CAR: &str = "application/vnd.ipld.car";
/// How we like CARs: depth first, every block as often as it is linked.
const CAR_WANTED: &str = "application/vnd.ipld.car;version=1;order=dfs;dups=y";

/// Bounds on a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// No byte for this long ends it.
    pub no_progress: Duration,
    /// Over each of these spans at least `min_bytes_per_second` must come on average.
    pub rate_window: Duration,
    /// See `rate_window`.
    pub min_bytes_per_second: u64,
    /// How often a broken download of a piece is taken up where it broke.
    pub resumes: u32,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            no_progress: Duration::from_secs(30),
            rate_window: Duration::from_secs(60),
            min_bytes_per_second: 16 << 10,
            resumes: 5,
        }
    }
}

/// Opens downloads: of pieces from URLs that others chose, of payloads from gateways that the configuration names.
#[derive(Clone, Debug)]
pub struct Fetcher {
    http: reqwest::Client,
    reach: Reach,
    /// For gateways on this machine or its network: named there, they may be reached, but lead nowhere else.
    near: reqwest::Client,
    limits: FetchLimits,
}

impl Fetcher {
    /// A fetcher that reaches what `reach` admits.
    pub fn new(reach: Reach, limits: FetchLimits) -> Result<Self, FetchError> {
        let near = guard::client(Reach::Everywhere, Redirects::Never)?;
        Ok(Self { http: guard::client(reach, Redirects::Checked)?, reach, near, limits })
    }

    /// The whole piece from a provider's `base` URL, of at most `max_bytes`. Providers serve it unpadded, with or
    /// without the zeros behind its payload.
    pub async fn piece(&self, base: &str, piece: Commitment, max_bytes: u64) -> Result<Download, FetchError> {
        self.piece_bytes(base, piece, None, max_bytes).await
    }

    /// A `span` of it, from its first byte to before its end: a piece in an aggregate, of which a source that knows no ranges
    /// sends all.
    pub async fn piece_bytes(
        &self,
        base: &str,
        piece: Commitment,
        span: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Download, FetchError> {
        let url = self.reach.check(&format!("{}/piece/{piece}", base.trim_end_matches('/')))?;
        let request = self.http.get(url).build();
        Download::open(self.http.clone(), request, self.limits, max_bytes, Again::From(span)).await
    }

    /// The whole DAG under `root` as a CAR from the trustless gateway at `base`, of at most `max_bytes`. Its
    /// blocks may stop early and still look complete: walk from the root. `base` comes from the configuration and nobody else: as
    /// an address or `localhost` it may be of this machine, as that of a Kubo node beside this one.
    pub async fn car(&self, base: &str, root: &DataCid, max_bytes: u64) -> Result<Download, FetchError> {
        let text = format!("{}/ipfs/{root}?format=car", base.trim_end_matches('/'));
        let (http, url) = match self.reach.check(&text) {
            Ok(url) if url.host_str() != Some("localhost") => (&self.http, url),
            Ok(_) | Err(GuardError::Private(_)) => (&self.near, Reach::Everywhere.check(&text)?),
            Err(error) => return Err(error.into()),
        };
        let request = http.get(url).header(ACCEPT, CAR_WANTED).build();
        let download = Download::open(http.clone(), request, self.limits, max_bytes, Again::Never).await?;
        match download.header(&CONTENT_TYPE) {
            Some(kind) if kind.starts_with(CAR) => Ok(download),
            other => Err(FetchError::NotCar(other.unwrap_or("nothing").to_owned())),
        }
    }
}
