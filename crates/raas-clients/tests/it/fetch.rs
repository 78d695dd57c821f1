//! Downloads: from a provider of the devnet, and from sources that break, drip, lie and redirect.

use crate::server::serve;
use crate::support::{Net, PROVIDER, car};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use bytes::Bytes;
use raas_clients::guard::Reach;
use raas_clients::source::{FetchError, FetchLimits, Fetcher};
use raas_core::cid::{Commitment, DataCid};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const PIECE: Commitment = Commitment([1; 32]);
const MAX: u64 = 10 << 20;

fn quick() -> FetchLimits {
    FetchLimits { no_progress: Duration::from_millis(300), ..FetchLimits::default() }
}

fn fetcher(limits: FetchLimits) -> Fetcher {
    Fetcher::new(Reach::Everywhere, limits).expect("a fetcher")
}

async fn whole(fetcher: &Fetcher, base: &str, max: u64) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    fetcher.piece(base, PIECE, max).await?.copy_to(&mut bytes).await?;
    Ok(bytes)
}

#[tokio::test]
async fn a_piece_comes_from_the_provider_that_stores_it() {
    let net = Net::funded().await;
    let (stored, _, _) = net.active_deal().await;
    let fetcher = fetcher(FetchLimits::default());
    let base = &net.devnet.provider_urls()[&PROVIDER];
    let mut bytes = Vec::new();
    let download = fetcher.piece(base, stored.terms.piece, MAX).await.expect("it has it");
    download.copy_to(&mut bytes).await.expect("all of it");
    assert!(bytes.starts_with(&stored.car));
    assert!(bytes[stored.car.len()..].iter().all(|byte| *byte == 0), "zeros behind the payload at most");
    let absent = fetcher.piece(base, PIECE, MAX).await.expect_err("it never had it");
    assert_eq!(absent, FetchError::Absent(404));
}

/// Serves `bytes` but breaks each answer after a third of what is left, so many times.
#[derive(Clone)]
struct Breaking {
    bytes: Bytes,
    breaks: Arc<AtomicUsize>,
    ignores_range: bool,
    shifts_range: bool,
}

async fn breaking(State(source): State<Breaking>, headers: HeaderMap) -> Response {
    let from = headers
        .get(header::RANGE)
        .and_then(|value| {
            value.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
        })
        .filter(|_| !source.ignores_range)
        .unwrap_or(0);
    let rest = source.bytes.slice(from..);
    let mut answer = Response::builder().header(header::CONTENT_LENGTH, rest.len());
    if from > 0 {
        let told = if source.shifts_range { from - 1 } else { from };
        let total = source.bytes.len();
        let range = format!("bytes {told}-{}/{total}", total - 1);
        answer = answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, range);
    }
    let left = source.breaks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    let body = if left.is_ok() {
        let part = rest.slice(..rest.len() / 3);
        cut_after(part)
    } else {
        Body::from(rest)
    };
    answer.body(body).expect("a response")
}

/// A body that arrives as far as `part` and then breaks.
fn cut_after(part: Bytes) -> Body {
    use futures_util::StreamExt as _;
    let cut = futures_util::stream::once(async {
        // What came before must have left before the connection is closed.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        Err(std::io::Error::other("cut"))
    });
    Body::from_stream(futures_util::stream::iter([Ok(part)]).chain(cut))
}

#[tokio::test]
async fn fault_50_a_broken_download_goes_on_where_it_broke() {
    let bytes = car(4, 500_000);
    let source = |breaks: usize, ignores_range, shifts_range| Breaking {
        bytes: bytes.clone().into(),
        breaks: Arc::new(AtomicUsize::new(breaks)),
        ignores_range,
        shifts_range,
    };
    let start = |source: Breaking| serve(Router::new().fallback(breaking).with_state(source));
    let fetcher = fetcher(FetchLimits { resumes: 3, ..FetchLimits::default() });
    for ignores_range in [false, true] {
        let base = start(source(3, ignores_range, false)).await;
        let got = whole(&fetcher, &base, MAX).await.expect("all of it");
        assert!(got == bytes, "{} of {} bytes, {ignores_range}", got.len(), bytes.len());
    }
    let base = start(source(4, false, false)).await;
    assert!(matches!(whole(&fetcher, &base, MAX).await, Err(FetchError::Broken { .. })), "once too often");
    let base = start(source(1, false, true)).await;
    assert!(matches!(whole(&fetcher, &base, MAX).await, Err(FetchError::Broken { .. })), "another place");
}

#[tokio::test]
async fn fault_50_what_comes_too_slowly_or_is_too_much_is_ended() {
    let bytes = Bytes::from(vec![7; 100_000]);
    let announced = bytes.clone();
    let base = serve(Router::new().fallback(move || async move { announced })).await;
    let small = fetcher(quick());
    assert_eq!(whole(&small, &base, 99_999).await, Err(FetchError::TooLarge(99_999)));
    assert!(whole(&small, &base, 100_000).await.is_ok());

    // Without a length told beforehand.
    let chunks = move || async move {
        Body::from_stream(futures_util::stream::iter(
            (0..100).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; 1_000]))),
        ))
    };
    let base = serve(Router::new().fallback(chunks)).await;
    assert_eq!(whole(&small, &base, 50_000).await, Err(FetchError::TooLarge(50_000)));

    let silent = || async {
        use futures_util::StreamExt as _;
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from("x"))]);
        Body::from_stream(first.chain(futures_util::stream::pending()))
    };
    let base = serve(Router::new().fallback(silent)).await;
    assert!(matches!(whole(&small, &base, MAX).await, Err(FetchError::TooSlow { .. })), "silence");

    let drip = || async {
        let pace = tokio::time::interval(Duration::from_millis(20));
        let ticks = futures_util::stream::unfold(pace, |mut pace| async {
            pace.tick().await;
            Some((Ok::<_, std::io::Error>(Bytes::from("x")), pace))
        });
        Body::from_stream(ticks)
    };
    let base = serve(Router::new().fallback(drip)).await;
    let strict = FetchLimits { rate_window: Duration::from_secs(1), ..FetchLimits::default() };
    let slow = whole(&fetcher(strict), &base, MAX).await;
    assert!(matches!(slow, Err(FetchError::TooSlow { seconds: 1.., .. })), "{slow:?}");
}

#[tokio::test]
async fn fault_12_redirects_are_few_and_never_lead_inside() {
    let good = serve(Router::new().fallback(|| async { "bytes" })).await;
    let target = good.clone();
    let once = serve(Router::new().fallback(move || async move { Redirect::temporary(&target) })).await;
    let open = fetcher(quick());
    assert_eq!(whole(&open, &once, MAX).await.as_deref(), Ok(&b"bytes"[..]));
    let circle = serve(Router::new().fallback(|| async { Redirect::temporary("/again") })).await;
    assert!(matches!(whole(&open, &circle, MAX).await, Err(FetchError::Broken { .. })));
    let file = serve(Router::new().fallback(|| async { Redirect::temporary("file:///etc/passwd") })).await;
    assert!(whole(&open, &file, MAX).await.is_err());
    let public = Fetcher::new(Reach::Public, quick()).expect("a fetcher");
    assert!(matches!(whole(&public, &good, MAX).await, Err(FetchError::Refused(_))));
    let named = good.replace("127.0.0.1", "localhost");
    let refused = whole(&public, &named, MAX).await;
    assert!(
        matches!(&refused, Err(FetchError::Broken { reason, .. }) if reason.contains("public")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_gateway_must_answer_with_a_car() {
    let root: DataCid = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi".parse().expect("a CID");
    let bytes = car(1, 1_000);
    let served = bytes.clone();
    let gateway = move |uri: axum::http::Uri| {
        let served = served.clone();
        async move {
            match uri.query() {
                Some("format=car") if uri.path().ends_with("5fbzdi") => {
                    ([(header::CONTENT_TYPE, "application/vnd.ipld.car;version=1")], served).into_response()
                }
                _ => StatusCode::BAD_REQUEST.into_response(),
            }
        }
    };
    let fetcher = fetcher(quick());
    let base = serve(Router::new().fallback(gateway)).await;
    let mut got = Vec::new();
    let download = fetcher.car(&base, &root, MAX).await.expect("a CAR");
    download.copy_to(&mut got).await.expect("all of it");
    assert_eq!(got, bytes);
    let page = serve(Router::new().fallback(|| async { axum::response::Html("<html>") })).await;
    assert!(matches!(fetcher.car(&page, &root, MAX).await, Err(FetchError::NotCar(_))));
    let busy = serve(Router::new().fallback(|| async { StatusCode::TOO_MANY_REQUESTS })).await;
    assert_eq!(fetcher.car(&busy, &root, MAX).await.err(), Some(FetchError::Busy(429)));
}
