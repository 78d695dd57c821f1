//! A small file server on loopback that can misbehave, as the place providers fetch from.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// What the source does wrong.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// How many GETs break off, each after this many more bytes.
    pub break_offs: Vec<usize>,
    /// How many requests are answered 503 first.
    pub unavailable: u32,
    /// What HEAD claims instead of the true length.
    pub claimed_length: Option<u64>,
    /// The status every request gets.
    pub status: Option<u16>,
    /// `/hop/N` redirects N times before the file; this many hops are offered by [`Source::url`].
    pub hops: u32,
    /// Ranges are ignored.
    pub no_ranges: bool,
    /// A header that must be there.
    pub secret: Option<(String, String)>,
}

/// The running server.
pub struct Source {
    at: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    bytes: Bytes,
    habits: Mutex<Habits>,
    log: Mutex<Vec<String>>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Source {
    pub async fn of(bytes: &[u8]) -> Self {
        Self::with(bytes, Habits::default()).await
    }

    pub async fn with(bytes: &[u8], habits: Habits) -> Self {
        let shared = Arc::new(Shared {
            bytes: Bytes::copy_from_slice(bytes),
            habits: Mutex::new(habits),
            log: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("it is bound");
        let app = axum::Router::new().fallback(answer).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("serves") });
        Self { at, shared, server }
    }

    pub fn url(&self) -> String {
        let hops = self.shared.habits.lock().expect("not poisoned").hops;
        format!("http://{}/hop/{hops}", self.at)
    }

    /// The requests so far, as `METHOD range`.
    pub fn log(&self) -> Vec<String> {
        self.shared.log.lock().expect("not poisoned").clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let range = range_of(request.headers());
    let line = format!("{} {}", request.method(), range.map_or("-".to_owned(), |from| from.to_string()));
    shared.log.lock().expect("not poisoned").push(line);
    let mut habits = shared.habits.lock().expect("not poisoned");
    if let Some(status) = habits.status {
        return StatusCode::from_u16(status).expect("a status").into_response();
    }
    if habits.unavailable > 0 {
        habits.unavailable -= 1;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if let Some((name, value)) = &habits.secret
        && request.headers().get(name).is_none_or(|found| found != value)
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let hops: u32 = request.uri().path().trim_start_matches("/hop/").parse().expect("a number of hops");
    if hops > 0 {
        return (StatusCode::FOUND, [(header::LOCATION, format!("{}", hops - 1))]).into_response();
    }
    let total = shared.bytes.len();
    if request.method() == Method::HEAD {
        let length = habits.claimed_length.unwrap_or(total as u64);
        return ([(header::CONTENT_LENGTH, length.to_string())], Body::empty()).into_response();
    }
    let from = if habits.no_ranges { None } else { range };
    let rest = shared.bytes.slice(from.unwrap_or(0)..);
    let body = match habits.break_offs.pop() {
        None => Body::from(rest.clone()),
        Some(after) => {
            let part = rest.slice(..after);
            Body::from_stream(futures_util::stream::unfold(Some(part), |part| async move {
                if let Some(part) = part {
                    return Some((Ok(part), None));
                }
                // While the body has nothing more to give, the server sends what it has.
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                Some((Err(std::io::Error::other("broken off on purpose")), None))
            }))
        }
    };
    let length = (header::CONTENT_LENGTH, rest.len().to_string());
    match from {
        None => ([length], body).into_response(),
        Some(from) => {
            let content_range = format!("bytes {from}-{}/{total}", total - 1);
            let headers = [length, (header::CONTENT_RANGE, content_range)];
            (StatusCode::PARTIAL_CONTENT, headers, body).into_response()
        }
    }
}

fn range_of(headers: &HeaderMap) -> Option<usize> {
    let text = headers.get(header::RANGE)?.to_str().ok()?;
    text.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}
