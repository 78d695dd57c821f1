//! `GET|HEAD /ipfs/{cid}[/path]`: a CAR or a block (`?format=car|raw`), or file bytes where the node is told to give them;
//! from the local copy, or, when that is gone, from a provider's copy that is verified against its commitment and root
//! before a byte of it is served; of data in parts, each when a reader comes to it. A block that no copy of ours has is not looked
//! for anywhere else.

use super::ahead::Gathered;
use super::answer::Answer;
use super::asked::{Form, Parameters, Request, media_type};
use super::gateway::{Gateway, Visitor};
use super::parts::Parts;
use super::range::{Part, part};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::{Path, Query};
use crate::blocks::{LocalBlocks, LocalPiece};
use crate::execute::bytes::{note, sources, words};
use crate::failpoint;
use crate::keeping;
use crate::world::World;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use raas_core::cid::{Commitment, DataCid};
use raas_core::ids::ProviderId;
use raas_core::ports::{Bytes as _, Clock, Fetched};
use raas_piece::block::{fetch, identity_bytes};
use raas_piece::car::CarExport;
use raas_piece::unixfs::{FileReader, ReadError, Resolved, UnixNode, list, resolve};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Says where the bytes of an answer came from: `local`, or the provider that was asked for them.
const SOURCE: HeaderName = HeaderName::from_static("raas-source");
/// Entries shown of one directory.
const ENTRIES_MAX: u64 = 100_000;

/// `/ipfs/{cid}`.
pub async fn root<W: World>(
    State(gateway): State<Arc<Gateway<W>>>,
    visitor: Visitor,
    Path(cid): Path<String>,
    Query(parameters): Query<Parameters>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let call = Call { cid, path: String::new(), parameters, method, uri, headers, visitor };
    answer(&gateway, call).await
}

/// `/ipfs/{cid}/{path}`.
pub async fn path<W: World>(
    State(gateway): State<Arc<Gateway<W>>>,
    visitor: Visitor,
    Path((cid, path)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    answer(&gateway, Call { cid, path, parameters, method, uri, headers, visitor }).await
}

/// A request, not read yet.
struct Call {
    cid: String,
    path: String,
    parameters: Parameters,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    visitor: Visitor,
}

impl Call {
    fn read<W: World>(&self, gateway: &Gateway<W>) -> Result<Request, ApiError> {
        let request = Request::read(&self.parameters, &self.headers)
            .map_err(|(field, why)| ApiError::field(field, why))?;
        let no = |why: &str| Err(ApiError::field("format", why));
        if request.form == Form::Raw && !self.path.is_empty() {
            return no("a raw block is asked for by its own CID, without a path");
        }
        if request.form == Form::Plain && !gateway.settings.plain_files {
            return no(
                "this node gives what can be checked: ask with ?format=car or ?format=raw, or the same in Accept",
            );
        }
        // Its scope would be the content of everybody.
        if request.is_service_worker && self.path.is_empty() && !self.uri.path().ends_with('/') {
            return Err(ApiError::Bad(
                "a service worker must stand below the CID of its own pages".to_owned(),
            ));
        }
        Ok(request)
    }

    /// The path as it was asked for, escapes and all, without slashes at its end.
    fn address(&self) -> &str {
        self.uri.path().trim_end_matches('/')
    }
}

async fn answer<W: World>(gateway: &Arc<Gateway<W>>, call: Call) -> Result<Response, ApiError> {
    let seat = gateway.clients.seat(Some(gateway.client(&call.visitor, &call.headers)))?;
    let request = call.read(gateway)?;
    let root: DataCid = call.cid.parse().map_err(|error| ApiError::field("cid", format!("{error}")))?;
    let mut tried = attempt(gateway, &call, &root, &request).await;
    let app = &gateway.app;
    if tried.is_err() && app.pieces.has_suspects() {
        // What was met is damaged, or it is not: then it is asked once more. A provider has what is put aside.
        let now = app.engine.world().clock().now().await.unix_seconds;
        keeping::look_into(app.engine.store(), &app.pieces, now).await?;
        tried = attempt(gateway, &call, &root, &request).await;
    }
    let Some(Made { answer, source, later }) = tried? else {
        let status = StatusCode::PRECONDITION_FAILED;
        return Ok(Response::builder().status(status).body(Body::empty())?);
    };
    let head = call.method == Method::HEAD;
    let address = HeaderValue::from_str(call.address())?;
    let location = (request.by_accept, request.form.query());
    let sent = answer.send(head, seat).await;
    let mut response = sent.map_err(|error| later.and_then(|later| later.failure()).unwrap_or(error))?;
    if let (true, query) = location {
        let query = format!("{}?{query}", call.uri.path());
        response.headers_mut().insert(header::CONTENT_LOCATION, HeaderValue::from_str(&query)?);
    }
    response.headers_mut().insert(HeaderName::from_static("x-ipfs-path"), address);
    response.headers_mut().insert(SOURCE, HeaderValue::from_str(&source)?);
    Ok(response)
}

/// An answer that is ready to be sent.
struct Made<W: World> {
    answer: Answer,
    /// Where its bytes are from, as far as that is known before they are read.
    source: String,
    later: Option<Arc<Parts<W>>>,
}

/// `None` where the bytes are nowhere here, and nothing may be fetched.
async fn attempt<W: World>(
    gateway: &Arc<Gateway<W>>,
    call: &Call,
    root: &DataCid,
    request: &Request,
) -> Result<Option<Made<W>>, ApiError> {
    let Some(Found { here, from, later }) = find(gateway, root, request.only_if_cached).await? else {
        return Ok(None);
    };
    let blocks = gateway.app.pieces.blocks().with_first(here);
    let blocks = match &later {
        Some(later) => blocks.with_later(Arc::<Parts<W>>::clone(later)),
        None => blocks,
    };
    // Whoever gets a file and no blocks cannot hash them.
    let blocks = if request.form == Form::Plain { blocks.hashing() } else { blocks };
    let (cid, path, request) = (*root.cid(), call.path.clone(), request.clone());
    let made = tokio::task::spawn_blocking(move || respond(blocks, cid, &path, &request));
    let made = made.await.map_err(|error| ApiError::Internal(error.into()))?;
    let answer = made.map_err(|error| later.as_ref().and_then(|later| later.failure()).unwrap_or(error))?;
    let source = from.map_or_else(|| "local".to_owned(), |provider| provider.to_string());
    Ok(Some(Made { answer, source, later }))
}

/// Where the blocks under a root are.
struct Found<W: World> {
    /// On this disk; in no piece when the CID carries its own bytes.
    here: Vec<LocalPiece>,
    /// Who gave the one with the root, where that had to be fetched for this answer.
    from: Option<ProviderId>,
    /// What else must be fetched when a reader comes to it.
    later: Option<Arc<Parts<W>>>,
}

/// `None` where the bytes are nowhere here, and nothing may be fetched.
async fn find<W: World>(
    gateway: &Arc<Gateway<W>>,
    root: &DataCid,
    only_if_cached: bool,
) -> Result<Option<Found<W>>, ApiError> {
    let app = &gateway.app;
    let here = |here| Ok(Some(Found { here, from: None, later: None }));
    if identity_bytes(root.cid()).is_some() {
        return here(Vec::new());
    }
    let absent = || ApiError::NotFound(format!("{root} is not stored here"));
    let stored = app.engine.store().pieces_of_root(root).await?;
    let Some(last) = stored.last().map(|stored| stored.piece.commitment) else {
        return match piece_with(app, root).await? {
            Some(local) => here(vec![local]),
            None if only_if_cached => Ok(None),
            None => Err(absent()),
        };
    };
    let (mut local, mut missing) = (Vec::with_capacity(stored.len()), VecDeque::new());
    for piece in stored.iter().map(|stored| stored.piece.commitment) {
        match gateway.local(piece).await? {
            Some(piece) => local.push(piece),
            None => missing.push_back(piece),
        }
    }
    if only_if_cached && !missing.is_empty() {
        return Ok(None);
    }
    let mut from = None;
    // The last part has the root, without which nothing can be answered.
    if missing.back() == Some(&last) {
        missing.pop_back();
        let (fetched, provider) = open_or_fetch(gateway, root, last).await?;
        local.push(fetched.ok_or_else(absent)?);
        from = provider;
    }
    let later = (!missing.is_empty()).then(|| Parts::new(gateway, root, missing));
    Ok(Some(Found { here: local, from, later }))
}

/// Whether this gateway has what is under a root, here or at providers.
pub(super) async fn knows<W: World>(gateway: &Gateway<W>, root: &DataCid) -> Result<bool, ApiError> {
    let app = &gateway.app;
    Ok(!app.engine.store().pieces_of_root(root).await?.is_empty() || piece_with(app, root).await?.is_some())
}

/// A piece that has what is no root that was stored, but may be any block of one.
async fn piece_with<W: World>(app: &App<W>, root: &DataCid) -> Result<Option<LocalPiece>, ApiError> {
    let (pieces, cid) = (app.pieces.clone(), *root.cid());
    let looked = tokio::task::spawn_blocking(move || pieces.piece_with(&cid));
    Ok(looked.await.map_err(|error| ApiError::Internal(error.into()))??)
}

/// A piece that was not here a moment ago, and the provider it had to be fetched from.
pub(super) async fn open_or_fetch<W: World>(
    gateway: &Gateway<W>,
    root: &DataCid,
    piece: Commitment,
) -> Result<(Option<LocalPiece>, Option<ProviderId>), ApiError> {
    let app = &gateway.app;
    // One at a time: nobody removes what another has just fetched and not opened yet.
    let _alone = app.fetching.lock().await;
    if let Some(local) = gateway.local(piece).await? {
        return Ok((Some(local), None));
    }
    let fetched = fetch_back(app, root, piece).await;
    let local = gateway.local(piece).await?;
    let kept = app.engine.store().piece(piece).await?.is_some_and(|stored| stored.local);
    if !kept {
        // It was evicted on purpose: this answer reads on from the open file.
        app.pieces.remove(piece)?;
    }
    Ok((local, Some(fetched?)))
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

fn respond(blocks: LocalBlocks, root: cid::Cid, path: &str, request: &Request) -> Result<Answer, ApiError> {
    let missing = |error: &dyn std::fmt::Display| ApiError::NotFound(format!("/ipfs/{root}/{path}: {error}"));
    let resolved = resolve(&blocks, &root, path).map_err(|error| missing(&error))?;
    let etag = format!("\"{}.{}\"", resolved.cid, request.form.tag());
    let named: Vec<String> = resolved.named.iter().map(ToString::to_string).collect();
    let mut response = Response::builder()
        .header(header::CACHE_CONTROL, "public, max-age=29030400, immutable")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::VARY, "accept")
        .header("x-ipfs-roots", named.join(","))
        .header(header::ETAG, &etag);
    if request.has(&etag) {
        return Ok(Answer::Ready(response.status(StatusCode::NOT_MODIFIED).body(Body::empty())?));
    }
    if let Some(kind) = request.form.media_type() {
        response = response.header(header::CONTENT_TYPE, kind);
    }
    let attachment = |ending| format!("attachment; filename=\"{}.{ending}\"", resolved.cid);
    match request.form {
        Form::Raw => {
            let block = Bytes::from(fetch(&blocks, &resolved.cid)?);
            let response = response.header(header::CONTENT_DISPOSITION, attachment("bin"));
            let length = block.len() as u64;
            match part(response, request.range(length, &etag), length)? {
                Part::Outside(response) => Ok(Answer::Ready(response)),
                Part::Bytes(response, first, count) => {
                    // Both lie in the block, which is in memory.
                    let (first, count) = (usize::try_from(first)?, usize::try_from(count)?);
                    Ok(Answer::Whole(response, block.slice(first..first + count)))
                }
            }
        }
        Form::Car { scope, duplicates } => {
            let response = response
                .header(header::CONTENT_DISPOSITION, attachment("car"))
                .header(header::ACCEPT_RANGES, "none");
            let export = CarExport::new(blocks, resolved.cid, resolved.via, scope);
            let export = if duplicates { export.with_duplicates() } else { export };
            let chunks = export.map(|chunk| chunk.map_err(io::Error::other));
            Ok(Answer::Chunks(response, Box::new(Gathered::new(chunks))))
        }
        Form::Plain => plain(response, blocks, &resolved, path, request, &etag),
    }
}

/// What a browser can show: nothing in it can be checked by whoever gets it.
fn plain(
    response: axum::http::response::Builder,
    blocks: LocalBlocks,
    resolved: &Resolved,
    path: &str,
    request: &Request,
    etag: &str,
) -> Result<Answer, ApiError> {
    match UnixNode::load(&blocks, &resolved.cid).map_err(unreadable)? {
        UnixNode::Directory(_) | UnixNode::Shard { .. } => {
            let entries = list(&blocks, &resolved.cid, ENTRIES_MAX)?;
            let names: Vec<_> = entries
                .iter()
                .map(|entry| serde_json::json!({ "name": entry.name, "cid": entry.cid.to_string() }))
                .collect();
            let body = serde_json::json!({ "cid": resolved.cid.to_string(), "entries": names }).to_string();
            Ok(Answer::Whole(response.header(header::CONTENT_TYPE, "application/json"), body.into()))
        }
        UnixNode::Symlink(target) => {
            Ok(Answer::Whole(response.header(header::CONTENT_TYPE, "inode/symlink"), target.into()))
        }
        UnixNode::Bytes(_) | UnixNode::File { .. } => {
            let mut file = FileReader::open(blocks, resolved.cid)?;
            let length = file.file_bytes();
            let response = response.header(header::CONTENT_TYPE, media_type(path));
            let (response, first, mut left) = match part(response, request.range(length, etag), length)? {
                Part::Bytes(response, first, count) => (response, first, count),
                Part::Outside(response) => return Ok(Answer::Ready(response)),
            };
            file.seek_to(first);
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
            Ok(Answer::Chunks(response, Box::new(Gathered::new(chunks))))
        }
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
