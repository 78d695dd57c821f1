//! [`Download`]: one body, chunk by chunk, with its bounds.

use super::fetcher::FetchLimits;
use crate::guard::GuardError;
use crate::http;
use bytes::Bytes;
use futures_util::Stream;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderName, HeaderValue, RANGE};
use reqwest::{Request, Response};
use std::ops::Range;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

/// Why bytes did not come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL must not be fetched.
    #[error(transparent)]
    Refused(#[from] GuardError),
    /// The source says it does not have them.
    #[error("the source does not have it (HTTP status {0})")]
    Absent(u16),
    /// The source cannot give them now.
    #[error("the source is busy (HTTP status {0})")]
    Busy(u16),
    /// Another refusal.
    #[error("the source refuses (HTTP status {0})")]
    Status(u16),
    /// More bytes than allowed.
    #[error("the source sends more than the {0} bytes that are allowed")]
    TooLarge(u64),
    /// Nothing came, or too little.
    #[error("the source is too slow: {bytes} bytes in {seconds} s")]
    TooSlow {
        /// What came.
        bytes: u64,
        /// In this time.
        seconds: u64,
    },
    /// The connection broke and could not be taken up again.
    #[error("the download broke at byte {at}: {reason}")]
    Broken {
        /// Bytes that had come.
        at: u64,
        /// In words.
        reason: String,
    },
    /// A gateway that answers with something else.
    #[error("the source was asked for a CAR and answers with {0}")]
    NotCar(String),
    /// The sink did not take the bytes.
    #[error("the bytes could not be written: {0}")]
    Sink(String),
}

/// Whether a broken download is taken up again.
#[derive(Clone, Debug)]
pub(super) enum Again {
    /// It is not: what comes the second time may be another order of the same blocks.
    Never,
    /// Where it broke; of a span of the whole, where there is one.
    From(Option<Range<u64>>),
}

/// A body on its way.
#[derive(Debug)]
pub struct Download {
    http: reqwest::Client,
    /// To be sent again with a range when the connection breaks.
    request: Option<Request>,
    response: Response,
    limits: FetchLimits,
    max_bytes: u64,
    /// What of the whole was asked for.
    span: Option<Range<u64>>,
    /// Length of the whole, or of the span, where it is known.
    total: Option<u64>,
    received: u64,
    /// Bytes to pass over, when a source ignores the range that it was asked for.
    skip: u64,
    resumes: u32,
    rate: Rate,
}

#[derive(Debug)]
struct Rate {
    since: Instant,
    bytes: u64,
}

impl Download {
    pub(super) async fn open(
        http: reqwest::Client,
        request: reqwest::Result<Request>,
        limits: FetchLimits,
        max_bytes: u64,
        again: Again,
    ) -> Result<Self, FetchError> {
        let mut request = request.map_err(|error| broken(0, &error))?;
        let (span, again) = match again {
            Again::Never => (None, None),
            Again::From(span) => {
                if let Some(span) = &span {
                    request.headers_mut().insert(RANGE, range_of(span.start, Some(span.end)));
                }
                let again = request.try_clone();
                (span, again)
            }
        };
        let response = send(&http, request, limits.no_progress, 0).await?;
        check_status(&response)?;
        let (total, skip) = match &span {
            None => (response.content_length(), 0),
            Some(span) => (Some(span.end.saturating_sub(span.start)), skipped(&response, span.start, 0)?),
        };
        if total.is_some_and(|total| total > max_bytes) {
            return Err(FetchError::TooLarge(max_bytes));
        }
        let rate = Rate { since: Instant::now(), bytes: 0 };
        let resumes = limits.resumes;
        Ok(Self {
            http,
            request: again,
            response,
            limits,
            max_bytes,
            span,
            total,
            received: 0,
            skip,
            resumes,
            rate,
        })
    }

    /// Length of the whole, where the source told it.
    #[must_use]
    pub const fn total_bytes(&self) -> Option<u64> {
        self.total
    }

    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        text(self.response.headers(), name)
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            if self.span.is_some() && self.total == Some(self.received) {
                return Ok(None);
            }
            let chunk = tokio::time::timeout(self.limits.no_progress, self.response.chunk()).await;
            let failed = match chunk {
                Err(_) => {
                    let seconds = self.limits.no_progress.as_secs();
                    return Err(FetchError::TooSlow { bytes: 0, seconds });
                }
                Ok(Ok(Some(chunk))) => match self.take(chunk)? {
                    Some(chunk) => return Ok(Some(chunk)),
                    None => continue,
                },
                Ok(Ok(None)) if self.total.is_none_or(|total| self.received >= total) => return Ok(None),
                Ok(Ok(None)) => "it ended early".to_owned(),
                Ok(Err(error)) => http::reason(&error),
            };
            self.resume(failed).await?;
        }
    }

    /// The byte of the whole that comes next.
    fn at(&self) -> u64 {
        self.span.as_ref().map_or(0, |span| span.start).saturating_add(self.received)
    }

    /// Counts a chunk against the bounds; `None` when all of it is passed over.
    fn take(&mut self, mut chunk: Bytes) -> Result<Option<Bytes>, FetchError> {
        self.rate.bytes = self.rate.bytes.saturating_add(chunk.len() as u64);
        let elapsed = self.rate.since.elapsed();
        if elapsed >= self.limits.rate_window {
            let least = self.limits.min_bytes_per_second.saturating_mul(elapsed.as_secs());
            if self.rate.bytes < least {
                return Err(FetchError::TooSlow { bytes: self.rate.bytes, seconds: elapsed.as_secs() });
            }
            self.rate = Rate { since: Instant::now(), bytes: 0 };
        }
        if self.skip > 0 {
            let passed = self.skip.min(chunk.len() as u64);
            self.skip -= passed;
            let _ = chunk.split_to(usize::try_from(passed).unwrap_or(chunk.len()));
        }
        if let (Some(_), Some(total)) = (&self.span, self.total) {
            // What comes behind the span is not read any more.
            let left = total.saturating_sub(self.received);
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        self.received = self.received.saturating_add(chunk.len() as u64);
        if self.received > self.max_bytes {
            return Err(FetchError::TooLarge(self.max_bytes));
        }
        Ok(Some(chunk))
    }

    /// Asks for the rest, from the byte where it broke.
    async fn resume(&mut self, mut reason: String) -> Result<(), FetchError> {
        let response = loop {
            let again = self.request.as_ref().and_then(Request::try_clone);
            let (Some(mut request), Some(left)) = (again, self.resumes.checked_sub(1)) else {
                return Err(FetchError::Broken { at: self.received, reason });
            };
            self.resumes = left;
            let end = self.span.as_ref().map(|span| span.end);
            request.headers_mut().insert(RANGE, range_of(self.at(), end));
            match send(&self.http, request, self.limits.no_progress, self.received).await {
                Err(FetchError::Broken { reason: another, .. }) => reason = another,
                other => break other?,
            }
        };
        check_status(&response)?;
        let total = self.total.filter(|_| self.span.is_none());
        let range = text(response.headers(), &CONTENT_RANGE).and_then(content_range);
        let other = |(_, told): (u64, Option<u64>)| total.is_some() && told.is_some() && told != total;
        let skip = match skipped(&response, self.at(), self.received) {
            Ok(skip) if !range.is_some_and(other) => skip,
            _ => {
                let reason = format!("{reason}; the source resumes elsewhere");
                return Err(FetchError::Broken { at: self.received, reason });
            }
        };
        self.skip = skip;
        self.response = response;
        Ok(())
    }

    /// The bytes as a stream, for readers that want one. It ends with the first error.
    pub fn into_stream(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
        futures_util::stream::try_unfold(self, |mut download| async move {
            match download.next().await {
                Ok(chunk) => Ok(chunk.map(|chunk| (chunk, download))),
                Err(error) => Err(std::io::Error::other(error)),
            }
        })
    }

    /// Writes all bytes to `sink`, which should check them, and tells how many there were.
    pub async fn copy_to<W: AsyncWrite + Unpin + Send>(mut self, sink: &mut W) -> Result<u64, FetchError> {
        let failed = |error: std::io::Error| FetchError::Sink(error.to_string());
        while let Some(chunk) = self.next().await? {
            sink.write_all(&chunk).await.map_err(failed)?;
        }
        sink.flush().await.map_err(failed)?;
        Ok(self.received)
    }
}

/// From byte `start` to before `end`, or to the end of all.
fn range_of(start: u64, end: Option<u64>) -> HeaderValue {
    let last = end.map(|end| end.saturating_sub(1).to_string()).unwrap_or_default();
    HeaderValue::from_str(&format!("bytes={start}-{last}")).expect("digits are a header")
}

/// How many bytes come before `start`, which was asked for: all, from a source that knows no ranges.
fn skipped(response: &Response, start: u64, received: u64) -> Result<u64, FetchError> {
    if response.status().as_u16() != 206 {
        return Ok(start);
    }
    match text(response.headers(), &CONTENT_RANGE).and_then(content_range) {
        Some((told, _)) if told == start => Ok(0),
        _ => Err(FetchError::Broken { at: received, reason: "the source sends another range".to_owned() }),
    }
}

async fn send(
    http: &reqwest::Client,
    request: Request,
    deadline: Duration,
    at: u64,
) -> Result<Response, FetchError> {
    match tokio::time::timeout(deadline, http.execute(request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(broken(at, &error)),
        Err(_) => Err(FetchError::TooSlow { bytes: 0, seconds: deadline.as_secs() }),
    }
}

fn broken(at: u64, error: &reqwest::Error) -> FetchError {
    FetchError::Broken { at, reason: http::reason(error) }
}

fn check_status(response: &Response) -> Result<(), FetchError> {
    match response.status().as_u16() {
        200 | 206 => Ok(()),
        status @ (404 | 410) => Err(FetchError::Absent(status)),
        status @ (408 | 429 | 500..=599) => Err(FetchError::Busy(status)),
        status => Err(FetchError::Status(status)),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Start and total of `bytes start-end/total`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::content_range;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for bad in ["", "bytes */10", "items 1-2/3", "bytes x-2/3"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
