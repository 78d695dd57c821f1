//! `GET|HEAD /ipfs/{cid}[/path]`: file bytes, or `?format=car|raw`, from the local copy; when that is gone, from a
//! provider's copy that is verified against its commitment and root before a byte of it is served.

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::{Path, Query};
use crate::blocks::LocalPiece;
use crate::execute::bytes::{note, sources, words};
use crate::failpoint;
use crate::world::World;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt;
use raas_core::cid::{Commitment, DataCid};
use raas_core::ids::ProviderId;
use raas_core::ports::{Bytes, Clock};
use raas_piece::block::Blocks;
use raas_piece::car::{CarExport, Scope};
use raas_piece::unixfs::{FileReader, UnixNode, list, resolve};
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
) -> Result<Response, ApiError> {
    answer(&app, &cid, "", &wanted, &method).await
}

/// `/ipfs/{cid}/{path}`.
pub async fn path<W: World>(
    State(app): State<Arc<App<W>>>,
    Path((cid, path)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    method: Method,
) -> Result<Response, ApiError> {
    answer(&app, &cid, &path, &wanted, &method).await
}

async fn answer<W: World>(
    app: &App<W>,
    cid: &str,
    path: &str,
    wanted: &Wanted,
    method: &Method,
) -> Result<Response, ApiError> {
    let root: DataCid = cid.parse().map_err(|error| ApiError::field("cid", format!("{error}")))?;
    let (local, source) = open(app, &root).await?;
    let (cid, path) = (*root.cid(), path.to_owned());
    let format = wanted.format.clone();
    let scope = match wanted.dag_scope.as_deref() {
        None | Some("all") => Scope::All,
        Some("entity") => Scope::Entity,
        Some("block") => Scope::Block,
        Some(other) => {
            let why = format!("{other:?} is none of all, entity, block");
            return Err(ApiError::field("dag-scope", why));
        }
    };
    let head = *method == Method::HEAD;
    let answered =
        tokio::task::spawn_blocking(move || respond(&local, cid, &path, format.as_deref(), scope, head));
    let mut response = answered.await.map_err(|error| ApiError::Internal(error.into()))??;
    let source = source.map_or_else(|| "local".to_owned(), |provider| provider.to_string());
    response.headers_mut().insert(SOURCE, HeaderValue::from_str(&source)?);
    Ok(response)
}

/// The piece of `root`, from the disk or fetched back for this answer; then also from whom.
async fn open<W: World>(app: &App<W>, root: &DataCid) -> Result<(LocalPiece, Option<ProviderId>), ApiError> {
    let absent = || ApiError::NotFound(format!("{root} is not stored here"));
    let Some(stored) = app.engine.store().piece_of_root(root).await? else { return Err(absent()) };
    let piece = stored.piece.commitment;
    if let Some(local) = app.pieces.get(piece)? {
        return Ok((local, None));
    }
    let provider = fetch_back(app, root, piece).await?;
    let local = app.pieces.get(piece)?.ok_or_else(absent)?;
    if !stored.local {
        // It was evicted on purpose: this answer reads on from the open file.
        app.pieces.remove(piece)?;
    }
    Ok((local, Some(provider)))
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
        if note(engine, &round, now, holding, provider, "fetch", &fetched).await? {
            engine.store().set_retrieved(piece, round.height).await?;
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
    format: Option<&str>,
    scope: Scope,
    head: bool,
) -> Result<Response, ApiError> {
    let blocks = local.blocks();
    let resolved = resolve(&blocks, &root, path)
        .map_err(|error| ApiError::NotFound(format!("/ipfs/{root}/{path}: {error}")))?;
    let response = Response::builder()
        .header("x-ipfs-path", format!("/ipfs/{root}/{path}").trim_end_matches('/'))
        .header(header::CACHE_CONTROL, "public, max-age=29030400, immutable")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    let etag = format!("\"{}.{}\"", resolved.cid, format.unwrap_or("file"));
    let response = response.header(header::ETAG, etag);
    match format {
        Some("raw") => {
            let block = blocks.get(&resolved.cid)?.ok_or_else(|| anyhow::anyhow!("the block vanished"))?;
            let response = response
                .header(header::CONTENT_TYPE, "application/vnd.ipld.raw")
                .header(header::CONTENT_LENGTH, block.len());
            Ok(response.body(if head { Body::empty() } else { Body::from(block) })?)
        }
        Some("car") => {
            let response = response
                .header(header::CONTENT_TYPE, "application/vnd.ipld.car; version=1; order=dfs; dups=n")
                .header(header::ACCEPT_RANGES, "none");
            let export = CarExport::new(blocks, resolved.cid, resolved.via, scope);
            stream(response, head, export.map(|chunk| chunk.map_err(io::Error::other)))
        }
        None => match UnixNode::load(&blocks, &resolved.cid)? {
            UnixNode::Directory(_) | UnixNode::Shard { .. } => {
                let entries = list(&blocks, &resolved.cid, ENTRIES_MAX)?;
                let names: Vec<_> = entries
                    .iter()
                    .map(|entry| serde_json::json!({ "name": entry.name, "cid": entry.cid.to_string() }))
                    .collect();
                let body =
                    serde_json::json!({ "cid": resolved.cid.to_string(), "entries": names }).to_string();
                let response = response.header(header::CONTENT_TYPE, "application/json");
                Ok(response.body(if head { Body::empty() } else { Body::from(body) })?)
            }
            _ => {
                let mut file = FileReader::open(blocks, resolved.cid)?;
                let response = response
                    .header(header::CONTENT_TYPE, "application/octet-stream")
                    .header(header::CONTENT_LENGTH, file.file_bytes());
                let chunks =
                    std::iter::from_fn(move || file.next_chunk().map_err(io::Error::other).transpose());
                stream(response, head, chunks)
            }
        },
        Some(other) => Err(ApiError::field("format", format!("{other:?} is neither car nor raw"))),
    }
}

/// A body read on a blocking thread. An error breaks the connection, so that a cut-off answer is seen as one.
fn stream(
    response: axum::http::response::Builder,
    head: bool,
    chunks: impl Iterator<Item = io::Result<Vec<u8>>> + Send + 'static,
) -> Result<Response, ApiError> {
    if head {
        return Ok(response.status(StatusCode::OK).body(Body::empty())?);
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
