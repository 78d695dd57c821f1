//! `POST /api/uploadFile`: streams a file or CAR to disk in flat memory, makes it a piece, and registers a job
//! for it unless `deal=false`.
//!
//! Multipart with a part `file` (fields before it count as parameters), or the bytes as the body with parameters
//! in the query: `cid`, `deal`, `format`. A content type of `application/vnd.ipld.car` means a CAR.

use super::fields::{Fields, Registration};
use super::register::store_job;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::extract::Parameters;
use crate::failpoint;
use crate::store::{JobSource, NewPiece, Registered, Upload};
use crate::upload::{Input, Kind, PackFailure, Taken, pack};
use crate::world::World;
use axum::Json;
use axum::body::Bytes;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{StatusCode, header};
use futures_util::StreamExt;
use raas_core::cid::DataCid;
use raas_core::ids::OwnerId;
use raas_core::machine::upload::{self, Event, Refusal};
use raas_core::policy::Duties;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What the caller wants done with the bytes: in the query, or as form fields before the file.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape of the query")]
pub struct Asked {
    /// Refuse the bytes unless they have this CID.
    cid: Option<String>,
    /// `false`: keep the bytes, make no deals.
    deal: Option<bool>,
    /// `car`: the bytes are a CAR. `file`: whatever they are.
    format: Option<Format>,
}

/// What the bytes are.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "the shape of a parameter")]
enum Format {
    File,
    Car,
}

/// A form with the file, and parameters before it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape of the form")]
pub struct UploadForm {
    #[schemars(flatten)]
    asked: Asked,
    /// Its bytes.
    file: String,
}

/// What was stored.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    message: &'static str,
    network: String,
    /// The upload's name.
    upload: String,
    /// CID of the bytes.
    cid: String,
    /// The job that was registered for it.
    job: Option<u64>,
    bytes: u64,
    car_bytes: u64,
    /// The piece that holds it, where there is one alone.
    piece_cid: Option<String>,
    /// Padded bytes of that piece.
    piece_size: Option<u64>,
    /// The pieces, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<StoredPart>>,
}

/// One piece of several.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredPart {
    piece_cid: String,
    piece_size: u64,
    car_bytes: u64,
}

const KNOWN: &[&str] = &["cid", "deal", "format"];
/// Longest form field besides the file.
const FIELD_MAX_BYTES: usize = 4096;
/// How long the rest of a refused upload is listened to.
const LINGER: Duration = Duration::from_secs(5);
/// How long the end of a multipart body may take behind its file.
const TAIL_MAX: Duration = Duration::from_secs(60);
/// Chunks between the network and the disk: the memory of one upload.
const CHUNKS_BUFFERED: usize = 16;

/// What the caller wants done with the bytes.
#[derive(Debug, Default)]
struct Wishes {
    cid: Option<DataCid>,
    deal: bool,
    kind: Kind,
}

impl Wishes {
    fn known(name: &str) -> Result<(), ApiError> {
        if KNOWN.contains(&name) {
            return Ok(());
        }
        let why = format!("unknown parameter; known are {} and the part file", KNOWN.join(", "));
        Err(ApiError::field(name, why))
    }

    fn read(fields: &Fields, content_type: &str) -> Result<Self, ApiError> {
        fields.keys().try_for_each(|name| Self::known(name))?;
        let text = |name: &str| fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
        let cid = match text("cid") {
            Some(text) => Some(text.parse().map_err(|error| ApiError::field("cid", format!("{error}")))?),
            None => None,
        };
        let deal = match text("deal") {
            None | Some("true") => true,
            Some("false") => false,
            Some(other) => {
                return Err(ApiError::field("deal", format!("{other:?} is neither true nor false")));
            }
        };
        let kind = match text("format") {
            None if content_type == "application/vnd.ipld.car" => Kind::Car,
            None | Some("file") => Kind::File,
            Some("car") => Kind::Car,
            Some(other) => {
                return Err(ApiError::field("format", format!("{other:?} is neither file nor car")));
            }
        };
        Ok(Self { cid, deal, kind })
    }
}

/// Takes one file or CAR.
pub async fn upload<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    query: Result<Parameters, ApiError>,
    request: Request,
) -> Result<(StatusCode, Json<Stored>), ApiError> {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if content_type != "multipart/form-data" {
        let mut body = request.into_body().into_data_stream();
        let begun = async {
            let wishes = Wishes::read(&query?.0, &content_type)?;
            Ok::<_, ApiError>((wishes, begin(&app, &caller.tenant).await?))
        };
        let (wishes, record) = match begun.await {
            Ok(begun) => begun,
            Err(answer) => {
                hear_out(&mut body).await;
                return Err(answer);
            }
        };
        let chunks = body.map(|chunk| chunk.map_err(|error| error.to_string()));
        let received = receive(&app, &wishes, chunks).await;
        return finish(&app, wishes, record, received).await;
    }
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|error| ApiError::Bad(format!("unreadable multipart body: {}", error.body_text())))?;
    let answer = match query {
        Ok(Parameters(query)) => form(&app, &caller.tenant, &mut parts, query).await,
        Err(answer) => Err(answer),
    };
    if answer.is_err() {
        let rest = async { while let Ok(Some(_)) = parts.next_field().await {} };
        let _ = tokio::time::timeout(LINGER, rest).await;
    }
    answer
}

/// Takes a form with a part named file.
async fn form<W: World>(
    app: &Arc<App<W>>,
    owner: &OwnerId,
    parts: &mut Multipart,
    mut fields: Fields,
) -> Result<(StatusCode, Json<Stored>), ApiError> {
    while let Some(part) = parts.next_field().await.map_err(|error| ApiError::Bad(error.body_text()))? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == "file" {
            let kind = part.content_type().unwrap_or_default().to_owned();
            let wishes = Wishes::read(&fields, &kind)?;
            let chunks = part.map(|chunk| chunk.map_err(|error| error.body_text()));
            let record = begin(app, owner).await?;
            let received = receive(app, &wishes, chunks).await;
            let received = match received {
                Ok(taken) => in_time(app, parts, taken).await?,
                refused => refused,
            };
            return finish(app, wishes, record, received).await;
        }
        // Known and short, before any of it is kept in memory.
        Wishes::known(&name)?;
        let text = short_text(part, &name).await?;
        if fields.insert(name.clone(), text).is_some() {
            return Err(ApiError::field(name, "is there twice"));
        }
    }
    Err(ApiError::field("file", "the multipart body has no part named file"))
}

/// What was taken, unless something stands behind it: a parameter there came too late to be heeded, and ignoring it
/// could cost money.
async fn in_time<W: World>(
    app: &App<W>,
    parts: &mut Multipart,
    taken: Taken,
) -> Result<Result<Taken, Refused>, ApiError> {
    let cut_off = |why: String| (Some(Refusal::Truncated), ApiError::Bad(why));
    // Whoever brings the same bytes waits for this one.
    let refused = match tokio::time::timeout(TAIL_MAX, parts.next_field()).await {
        Ok(Ok(None)) => return Ok(Ok(taken)),
        Ok(Ok(Some(late))) => {
            let why = "stands after the part named file; put every field before it";
            (None, ApiError::field(late.name().unwrap_or_default(), why))
        }
        Ok(Err(error)) => cut_off(error.body_text()),
        Err(_) => cut_off("the multipart body does not end: send it again".to_owned()),
    };
    for claim in &taken.claims {
        if app.engine.store().piece(claim.piece()).await?.is_none() {
            app.pieces.remove_claimed(claim)?;
        }
    }
    Ok(Err(refused))
}

/// The text of a form field, which has no reason to be long.
async fn short_text(mut part: Field<'_>, name: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(|error| ApiError::field(name, error.body_text()))? {
        if bytes.len() + chunk.len() > FIELD_MAX_BYTES {
            return Err(ApiError::field(name, format!("is longer than {FIELD_MAX_BYTES} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| ApiError::field(name, "is no text in UTF-8"))
}

/// Stores how an upload stands.
async fn note<W: World>(app: &App<W>, record: &Upload) -> Result<(), ApiError> {
    Ok(failpoint::around("upload.note", app.engine.store().put_upload(record)).await?)
}

/// Notes that an upload has begun.
async fn begin<W: World>(app: &App<W>, owner: &OwnerId) -> Result<Upload, ApiError> {
    #[expect(clippy::disallowed_methods, reason = "the name of an upload, before its CID is known")]
    let id = format!("{:032x}", rand::random::<u128>());
    let record = Upload {
        id,
        owner: owner.clone(),
        state: serde_json::to_value(upload::State::START)?,
        root: None,
        job: None,
    };
    note(app, &record).await?;
    Ok(record)
}

/// From the kept bytes to the stored job, or to the noted refusal.
async fn finish<W: World>(
    app: &App<W>,
    wishes: Wishes,
    mut record: Upload,
    received: Result<Taken, Refused>,
) -> Result<(StatusCode, Json<Stored>), ApiError> {
    // Nobody collects the pieces before what keeps them is stored.
    let Taken { pieces, bytes, payload_bytes, claims: _claims } = match received {
        Ok(taken) => taken,
        Err((refusal, answer)) => {
            if let Some(reason) = refusal {
                record.state = serde_json::to_value(upload::State::Refused { reason })?;
            }
            note(app, &record).await?;
            return Err(answer);
        }
    };
    let packed = upload::State::Packed { bytes };
    record.state = serde_json::to_value(&packed)?;
    let Some(root) = pieces.first().map(|piece| piece.root.clone()) else {
        return Err(ApiError::Internal(anyhow::anyhow!("data was packed into no piece")));
    };
    record.root = Some(root.clone());
    // The name first: what a crash leaves from here on is found by it.
    note(app, &record).await?;
    failpoint::around("upload.record", app.engine.store().record_pieces(&pieces)).await?;
    let registered = if wishes.deal { Some(register(app, &record.owner, &root).await?) } else { None };
    record.job = registered.map(|registered| match registered {
        Registered::Created { job, .. } | Registered::AlreadyExists { job, .. } => job,
    });
    let (after, _) = upload::next(&packed, Event::JobStored)?;
    record.state = serde_json::to_value(&after)?;
    note(app, &record).await?;
    app.job_came();
    let alone = if let [piece] = pieces.as_slice() { Some(piece) } else { None };
    let told = |piece: &NewPiece| StoredPart {
        piece_cid: piece.commitment.to_string(),
        piece_size: piece.size.get(),
        car_bytes: piece.car_bytes,
    };
    let stored = Stored {
        message: if wishes.deal { "File stored and job registered successfully." } else { "File stored." },
        network: app.network.clone(),
        upload: record.id,
        cid: root.to_string(),
        job: record.job.map(|job| job.0),
        bytes: payload_bytes,
        car_bytes: pieces.iter().map(|piece| piece.car_bytes).sum(),
        piece_cid: alone.map(|piece| piece.commitment.to_string()),
        piece_size: alone.map(|piece| piece.size.get()),
        parts: alone.is_none().then(|| pieces.iter().map(told).collect()),
    };
    Ok((StatusCode::CREATED, Json(stored)))
}

/// A job with the node's default policy: in the self-hosted form the node makes the deals.
async fn register<W: World>(app: &App<W>, owner: &OwnerId, root: &DataCid) -> Result<Registered, ApiError> {
    let registration = Registration {
        cid: root.clone(),
        duties: Duties::ALL,
        policy: app.engine.settings().default_policy.clone(),
        on_chain: None,
    };
    store_job(app, owner, &registration, JobSource::Upload, true, None).await
}

/// Takes what is still coming and drops it, for a while: a client that is cut off while it sends reads no answer.
async fn hear_out<T, E>(chunks: &mut (impl futures_util::Stream<Item = Result<T, E>> + Unpin)) {
    let rest = async { while let Some(Ok(_)) = chunks.next().await {} };
    // Whoever sends for longer is cut off.
    let _ = tokio::time::timeout(LINGER, rest).await;
}

/// What a failed upload is in the machine's words, and its answer.
type Refused = (Option<Refusal>, ApiError);

/// Streams the bytes into kept pieces.
async fn receive<W: World>(
    app: &Arc<App<W>>,
    wishes: &Wishes,
    chunks: impl futures_util::Stream<Item = Result<Bytes, String>>,
) -> Result<Taken, Refused> {
    let (sender, receiver) = mpsc::channel(CHUNKS_BUFFERED);
    let input = Input::new(receiver, wishes.kind, wishes.cid.clone(), app.upload_max_bytes);
    let pieces = app.pieces.clone();
    let piece_max = app.engine.piece_max().await.map_err(|error| (None, error.into()))?;
    let packing = tokio::task::spawn_blocking(move || pack(&pieces, input, piece_max));
    let mut chunks = std::pin::pin!(chunks);
    while let Some(chunk) = chunks.next().await {
        // A closed channel means that packing has failed already; its own error says why.
        if sender.send(chunk.map(Some)).await.is_err() {
            hear_out(&mut chunks).await;
            break;
        }
    }
    // Where this future is dropped before, nothing says the end, and nothing is kept.
    let _ = sender.send(Ok(None)).await;
    drop(sender);
    let packed = packing.await.map_err(|error| (None, ApiError::Internal(error.into())))?;
    packed.map_err(|failure| answer(failure, app.upload_max_bytes))
}

fn answer(failure: PackFailure, max_bytes: u64) -> Refused {
    match failure {
        PackFailure::Truncated(why) => {
            let text = format!("the upload was cut off ({why}): send it again");
            (Some(Refusal::Truncated), ApiError::Bad(text))
        }
        PackFailure::Empty => (Some(Refusal::Empty), ApiError::field("file", Refusal::Empty.to_string())),
        PackFailure::Mismatch { computed } => {
            let why = format!(
                "the bytes do not have this CID under any known profile (the default gives {computed}); \
                 check the file, or send it as a CAR"
            );
            (Some(Refusal::CidMismatch), ApiError::field("cid", why))
        }
        PackFailure::DiskFull => {
            (Some(Refusal::DiskFull), ApiError::Unavailable(Refusal::DiskFull.to_string()))
        }
        PackFailure::NoRoom(refusal) => (Some(Refusal::DiskFull), ApiError::NoRoom(refusal.to_string())),
        PackFailure::TooLarge => {
            let text = format!("larger than the {max_bytes} bytes this node takes in one upload");
            (None, ApiError::TooLarge(text))
        }
        PackFailure::BadCar(why) => (None, ApiError::field("file", format!("not a good CAR: {why}"))),
        PackFailure::Local(error) => (None, ApiError::Internal(error)),
    }
}
