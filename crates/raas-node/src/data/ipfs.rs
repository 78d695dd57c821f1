//! `GET|HEAD /ipfs/{cid}[/path]`: file bytes, or `?format=car|raw`, from the local copy; when that is gone, from a
//! provider's copy that is verified against its commitment and root before a byte of it is served.

use super::asked::{Form, RAW_TYPE, Request, media_type};
use super::range::Asked;
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::{Path, Query};
use crate::blocks::LocalPiece;
use crate::execute::bytes::{note, sources, words};
use crate::failpoint;
use crate::world::World;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use raas_core::cid::{Commitment, DataCid};
use raas_core::ids::ProviderId;
use raas_core::ports::{Bytes, Clock, Fetched};
use raas_piece::block::Blocks;
use raas_piece::car::{CarExport, Scope};
use raas_piece::unixfs::{FileReader, ReadError, UnixNode, list, resolve};
use serde::Deserialize;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Says where the bytes of an answer came from: `local`, or the provider that was asked for them.
const SOURCE: HeaderName = HeaderName::from_static("raas-source");
/// Blocks between the reading thread and the socket: the memory of one answer.
const BLOCKS_BUFFERED: usize = 4;
/// Entries shown of one directory.
const ENTRIES_MAX: u64 = 100_000;

/// How the answer is wanted.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    format: Option<String>,
    #[serde(rename = "dag-scope")]
    dag_scope: Option<String>,
}

/// `/ipfs/{cid}`.
pub async fn root<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(cid): Path<String>,
    Query(wanted): Query<Wanted>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    with_path(answer(&app, &cid, "", &read(&wanted, &headers)?, &method).await?, &uri)
}

/// `/ipfs/{cid}/{path}`.
pub async fn path<W: World>(
    State(app): State<Arc<App<W>>>,
    Path((cid, path)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let request = read(&wanted, &headers)?;
    if request.form == Form::Raw && !path.is_empty() {
        let why = "a raw block is asked for by its own CID, without a path";
        return Err(ApiError::field("format", why));
    }
    with_path(answer(&app, &cid, &path, &request, &method).await?, &uri)
}

/// With the path as it was asked for, escapes and all, without slashes at its end.
fn with_path(mut response: Response, uri: &Uri) -> Result<Response, ApiError> {
    let path = HeaderValue::from_str(uri.path().trim_end_matches('/'))?;
    response.headers_mut().insert(HeaderName::from_static("x-ipfs-path"), path);
    Ok(response)
}

fn read(wanted: &Wanted, headers: &HeaderMap) -> Result<Request, ApiError> {
    Request::read(wanted.format.as_deref(), wanted.dag_scope.as_deref(), headers)
        .map_err(|(field, why)| ApiError::field(field, why))
}

async fn answer<W: World>(
    app: &App<W>,
    cid: &str,
    path: &str,
    request: &Request,
    method: &Method,
) -> Result<Response, ApiError> {
    let root: DataCid = cid.parse().map_err(|error| ApiError::field("cid", format!("{error}")))?;
    let Some((local, source)) = open(app, &root, request.only_if_cached).await? else {
        let text = format!("{root} is not on this node's disk, and only-if-cached was asked for");
        let body = axum::Json(serde_json::json!({ "error": text }));
        return Ok((StatusCode::PRECONDITION_FAILED, body).into_response());
    };
    let (cid, path, request) = (*root.cid(), path.to_owned(), request.clone());
    let head = *method == Method::HEAD;
    let answered = tokio::task::spawn_blocking(move || respond(&local, cid, &path, &request, head));
    let mut response = answered.await.map_err(|error| ApiError::Internal(error.into()))??;
    let source = source.map_or_else(|| "local".to_owned(), |provider| provider.to_string());
    response.headers_mut().insert(SOURCE, HeaderValue::from_str(&source)?);
    Ok(response)
}

/// The piece of `root`, from the disk or fetched back for this answer; then also from whom. `None` when it would have
/// to be fetched and must not.
async fn open<W: World>(
    app: &App<W>,
    root: &DataCid,
    only_if_cached: bool,
) -> Result<Option<(LocalPiece, Option<ProviderId>)>, ApiError> {
    let absent = || ApiError::NotFound(format!("{root} is not stored here"));
    let Some(stored) = app.engine.store().piece_of_root(root).await? else { return Err(absent()) };
    let piece = stored.piece.commitment;
    if let Some(local) = app.pieces.get(piece)? {
        return Ok(Some((local, None)));
    }
    if only_if_cached {
        return Ok(None);
    }
    // One at a time: nobody removes what another has just fetched and not opened yet.
    let _alone = app.fetching.lock().await;
    if let Some(local) = app.pieces.get(piece)? {
        return Ok(Some((local, None)));
    }
    let fetched = fetch_back(app, root, piece).await;
    let local = app.pieces.get(piece)?;
    let kept = app.engine.store().piece(piece).await?.is_some_and(|stored| stored.local);
    if !kept {
        // It was evicted on purpose: this answer reads on from the open file.
        app.pieces.remove(piece)?;
    }
    let provider = fetched?;
    Ok(Some((local.ok_or_else(absent)?, Some(provider))))
}

async fn fetch_back<W: World>(
    app: &App<W>,
    root: &DataCid,
    piece: Commitment,
) -> Result<ProviderId, ApiError> {
    let engine = &app.engine;
    let round = engine.status().round;
    let round = round.ok_or_else(|| ApiError::Unavailable("the chain was not seen yet".to_owned()))?;
    let now = engine.world().clock().now().await;
    let holding = engine.store().holdings_of_cid(root).await?.first().copied();
    let mut tried = Vec::new();
    for source in sources(engine, &round, piece).await? {
        let provider = source.provider.provider;
        let fetched = failpoint::around("serve.fetch", engine.world().bytes().fetch(&source)).await;
        let good = matches!(fetched, Fetched::Verified);
        // The bytes are there, whether that can be noted or not.
        let noted = async {
            if note(engine, &round, now, holding, provider, "fetch", &fetched).await? {
                failpoint::around("serve.record", engine.store().set_retrieved(piece, round.height)).await?;
            }
            Ok::<_, ApiError>(())
        };
        match noted.await {
            Err(error) if !good => return Err(error),
            Err(error) => tracing::warn!(?error, "a fetch for a reader is not noted"),
            Ok(()) => {}
        }
        if good {
            return Ok(provider);
        }
        tried.push(format!("{provider}: {}", words(&fetched)));
    }
    let text = match tried.len() {
        0 => "the local copy is gone and no provider holds a proven one".to_owned(),
        _ => format!("no provider gave the bytes: {}", tried.join("; ")),
    };
    Err(ApiError::Unavailable(text))
}

fn respond(
    local: &LocalPiece,
    root: cid::Cid,
    path: &str,
    request: &Request,
    head: bool,
) -> Result<Response, ApiError> {
    let blocks = local.blocks();
    let resolved = resolve(&blocks, &root, path)
        .map_err(|error| ApiError::NotFound(format!("/ipfs/{root}/{path}: {error}")))?;
    let etag = format!("\"{}.{}\"", resolved.cid, tag(request.form));
    let response = Response::builder()
        .header(header::CACHE_CONTROL, "public, max-age=29030400, immutable")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::VARY, "accept")
        .header(header::ETAG, &etag);
    if request.has(&etag) {
        return Ok(response.status(StatusCode::NOT_MODIFIED).body(Body::empty())?);
    }
    let attachment = |ending| format!("attachment; filename=\"{}.{ending}\"", resolved.cid);
    match request.form {
        Form::Raw => {
            let block = blocks.get(&resolved.cid)?.ok_or_else(|| anyhow::anyhow!("the block vanished"))?;
            let response = response
                .header(header::CONTENT_TYPE, RAW_TYPE)
                .header(header::CONTENT_DISPOSITION, attachment("bin"));
            Ok(response.body(Body::from(block))?)
        }
        Form::Car(scope) => {
            let response = response
                .header(header::CONTENT_TYPE, "application/vnd.ipld.car; version=1; order=dfs; dups=n")
                .header(header::CONTENT_DISPOSITION, attachment("car"))
                .header(header::ACCEPT_RANGES, "none");
            let export = CarExport::new(blocks, resolved.cid, resolved.via, scope);
            stream(response, head, export.map(|chunk| chunk.map_err(io::Error::other)))
        }
        Form::Plain => match UnixNode::load(&blocks, &resolved.cid).map_err(unreadable)? {
            UnixNode::Directory(_) | UnixNode::Shard { .. } => {
                let entries = list(&blocks, &resolved.cid, ENTRIES_MAX)?;
                let names: Vec<_> = entries
                    .iter()
                    .map(|entry| serde_json::json!({ "name": entry.name, "cid": entry.cid.to_string() }))
                    .collect();
                let body =
                    serde_json::json!({ "cid": resolved.cid.to_string(), "entries": names }).to_string();
                let response = response.header(header::CONTENT_TYPE, "application/json");
                Ok(response.body(Body::from(body))?)
            }
            UnixNode::Symlink(target) => {
                let response = response.header(header::CONTENT_TYPE, "inode/symlink");
                Ok(response.body(Body::from(target))?)
            }
            UnixNode::Bytes(_) | UnixNode::File { .. } => {
                let file = FileReader::open(blocks, resolved.cid)?;
                let range = request.range(file.file_bytes(), &etag);
                let response = response
                    .header(header::CONTENT_TYPE, media_type(path))
                    .header(header::ACCEPT_RANGES, "bytes");
                plain(response, head, file, range)
            }
        },
    }
}

/// What is no UnixFS is still served as blocks.
fn unreadable(error: ReadError) -> ApiError {
    match error {
        ReadError::Codec { .. } | ReadError::Node { .. } | ReadError::Data { .. } => {
            ApiError::field("format", format!("{error}; ask with ?format=raw or ?format=car"))
        }
        other => other.into(),
    }
}

/// What tells the forms of one CID apart.
const fn tag(form: Form) -> &'static str {
    match form {
        Form::Raw => "raw",
        Form::Car(Scope::All) => "car",
        Form::Car(Scope::Entity) => "car.entity",
        Form::Car(Scope::Block) => "car.block",
        Form::Plain => "file",
    }
}

/// A file's bytes, whole or one range of them.
fn plain<B: Blocks + Send + 'static>(
    response: axum::http::response::Builder,
    head: bool,
    mut file: FileReader<B>,
    range: Asked,
) -> Result<Response, ApiError> {
    let length = file.file_bytes();
    let (response, mut left) = match range {
        Asked::Whole => (response.status(StatusCode::OK), length),
        Asked::Part(first, last) => {
            file.seek_to(first);
            let response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}"));
            (response, last - first + 1)
        }
        Asked::Unsatisfiable => {
            let response = response
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(header::CONTENT_RANGE, format!("bytes */{length}"));
            return Ok(response.body(Body::empty())?);
        }
    };
    let response = response.header(header::CONTENT_LENGTH, left);
    let chunks = std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let mut chunk = file.next_chunk().map_err(io::Error::other).transpose()?;
        if let Ok(bytes) = &mut chunk {
            bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= bytes.len() as u64;
        }
        Some(chunk)
    });
    stream(response, head, chunks)
}

/// A body read on a blocking thread. An error breaks the connection, so that a cut-off answer is seen as one.
fn stream(
    response: axum::http::response::Builder,
    head: bool,
    chunks: impl Iterator<Item = io::Result<Vec<u8>>> + Send + 'static,
) -> Result<Response, ApiError> {
    if head {
        // An empty body that does not say so: its length would be told as that of the answer.
        let nothing = tokio_stream::empty::<io::Result<Vec<u8>>>();
        return Ok(response.body(Body::from_stream(nothing))?);
    }
    let (sender, receiver) = mpsc::channel(BLOCKS_BUFFERED);
    tokio::task::spawn_blocking(move || {
        for chunk in chunks {
            let broken = chunk.is_err();
            if sender.blocking_send(chunk).is_err() || broken {
                break;
            }
        }
    });
    Ok(response.body(Body::from_stream(ReceiverStream::new(receiver).map(|chunk| chunk)))?)
}
