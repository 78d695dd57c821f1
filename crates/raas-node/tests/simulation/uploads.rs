//! Uploads through the node's own route, onto a real disk: some arrive, some are cut off, in some the process dies.

use crate::run::{Ground, Run};
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use futures_util::{StreamExt, stream};
use raas_core::cid::Commitment;
use raas_node::api::{App, router};
use raas_node::blocks::PieceStore;
use raas_node::engine::Engine;
use raas_node::store::{JobSource, Store};
use raas_node::world::World;
use rand_chacha::rand_core::RngCore;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use tower::ServiceExt;

/// Uploads of one run.
const UPLOADS_MAX: u64 = 3;
const BYTES_MAX: u64 = 40_000;
const CHUNK: usize = 4_096;

/// The disk of a run, and what became of uploads.
pub struct Uploads {
    folder: tempfile::TempDir,
    pieces: PieceStore,
    begun: u64,
    with_job: BTreeSet<Commitment>,
    without_job: BTreeSet<Commitment>,
}

impl Uploads {
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let pieces = PieceStore::open(folder.path())?;
        Ok(Self::at(folder, pieces))
    }

    /// Over a node's disk.
    pub fn over(pieces: PieceStore) -> io::Result<Self> {
        Ok(Self::at(tempfile::tempdir()?, pieces))
    }

    fn at(folder: tempfile::TempDir, pieces: PieceStore) -> Self {
        let (with_job, without_job) = (BTreeSet::new(), BTreeSet::new());
        Self { folder, pieces, begun: 0, with_job, without_job }
    }

    pub const fn pieces(&self) -> &PieceStore {
        &self.pieces
    }

    /// A process that dies takes its threads along; here the one thread that packs is waited for instead.
    pub async fn come_to_rest(&self) {
        tokio::task::spawn_blocking(|| ()).await.expect("a thread that does nothing");
    }

    fn staged(&self) -> usize {
        let staging = std::fs::read_dir(self.folder.path().join("staging"));
        staging.map_or(0, Iterator::count)
    }
}

/// How an upload is answered.
#[derive(Debug)]
enum End {
    Answered(StatusCode, serde_json::Value),
    Died,
}

impl<W: World> Run<W> {
    /// Somebody uploads a file. The bytes may break off, and the process may die at any point.
    pub async fn upload(&mut self) -> Result<(), String> {
        if self.uploads.begun >= UPLOADS_MAX || matches!(self.ground, Ground::Served(_)) {
            return Ok(());
        }
        self.uploads.begun += 1;
        let mut bytes = vec![0; 1 + self.below(BYTES_MAX) as usize];
        self.rng.fill_bytes(&mut bytes);
        let chunks: Vec<Bytes> = bytes.chunks(CHUNK).map(Bytes::copy_from_slice).collect();
        let deal = self.below(4) > 0;
        let (cut, dies) = match self.below(4) {
            0 => (Some(self.below(chunks.len() as u64 + 1) as usize), None),
            1 | 2 => (None, Some(self.below(chunks.len() as u64 + 5) as u32)),
            _ => (None, None),
        };
        self.say(&format!("an upload of {} chunks, cut {cut:?}, dies {dies:?}", chunks.len()));
        self.shared.crash_in(dies);
        let end = self.sent(chunks, cut, deal).await;
        self.shared.crash_in(None);
        match end {
            End::Died => {
                self.judge.met.push("the process died within an upload");
                self.restart().await?;
            }
            End::Answered(status, answer) if status == StatusCode::CREATED => {
                let piece = answer["pieceCid"].as_str().and_then(|piece| piece.parse().ok());
                let piece: Commitment = piece.ok_or_else(|| format!("a strange answer: {answer}"))?;
                let kept = if deal { &mut self.uploads.with_job } else { &mut self.uploads.without_job };
                kept.insert(piece);
                if cut.is_some() {
                    return Err(format!("A12: an upload that was cut off was answered with {answer}"));
                }
            }
            End::Answered(status, answer) => match cut {
                Some(_) => self.judge.met.push("an upload was cut off"),
                None => return Err(format!("A12: an upload was answered with {status} {answer}")),
            },
        }
        self.disk_is_in_order().await
    }

    /// Some bytes, whole, with a job or without: their CID and piece.
    pub async fn uploaded(&mut self, deal: bool) -> Result<(Vec<u8>, Commitment), String> {
        let mut bytes = vec![0; 1 + self.below(BYTES_MAX) as usize];
        self.rng.fill_bytes(&mut bytes);
        let chunks: Vec<Bytes> = bytes.chunks(CHUNK).map(Bytes::copy_from_slice).collect();
        // A death that is to come is for the node at work.
        self.shared.crash_in(None);
        let End::Answered(StatusCode::CREATED, answer) = self.sent(chunks, None, deal).await else {
            return Err("A12: an upload was not stored".to_owned());
        };
        let text = |field: &str| answer[field].as_str().unwrap_or_default();
        let cid: cid::Cid = text("cid").parse().map_err(|_| format!("a strange answer: {answer}"))?;
        let piece = text("pieceCid").parse().map_err(|_| format!("a strange answer: {answer}"))?;
        Ok((cid.to_bytes(), piece))
    }

    /// The bytes on their way through the route, until it answers or the process dies.
    async fn sent(&self, chunks: Vec<Bytes>, cut: Option<usize>, deal: bool) -> End {
        let engine = &self.engine;
        let (store, settings) = (engine.store().clone(), engine.settings().clone());
        let app = App {
            engine: Engine::new(Arc::clone(&self.world), store, settings),
            pieces: self.uploads.pieces.clone(),
            fetching: tokio::sync::Mutex::default(),
            wake: tokio::sync::Notify::new(),
            listener: "simulation".to_owned(),
            network: "simulation".to_owned(),
            upload_max_bytes: 1 << 20,
            devnet: true,
            wallet_token: String::new(),
        };
        let shared = Arc::clone(&self.shared);
        let whole = stream::iter(chunks).map(Ok::<_, io::Error>);
        let broken = cut.map(|_| Err(io::Error::from(io::ErrorKind::ConnectionReset)));
        let body = whole.take(cut.unwrap_or(usize::MAX)).chain(stream::iter(broken));
        let body = body.then(move |chunk| {
            let shared = Arc::clone(&shared);
            async move {
                shared.point().await;
                chunk
            }
        });
        let request = Request::post(format!("/api/uploadFile?deal={deal}"))
            .body(Body::from_stream(body))
            .expect("a request");
        let answered = async {
            let response = router(Arc::new(app)).oneshot(request).await.expect("a router does not fail");
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("an answer");
            End::Answered(status, serde_json::from_slice(&body).unwrap_or_default())
        };
        tokio::select! {
            biased;
            () = self.shared.crashed.notified() => End::Died,
            end = self.lives(answered) => end,
        }
    }

    /// Uploads are there or not, and those with a job are copies like all others from now on.
    async fn disk_is_in_order(&mut self) -> Result<(), String> {
        self.uploads.come_to_rest().await;
        let store: &Store = self.engine.store();
        let text = |error: raas_node::store::Error| error.to_string();
        let files = self.uploads.pieces.kept().map_err(|error| error.to_string())?;
        let jobs = store.jobs(None, None, None, 10_000).await.map_err(text)?;
        let mut with_job = BTreeSet::new();
        for job in jobs.iter().filter(|job| job.source == JobSource::Upload) {
            let piece = store.piece_of_root(&job.cid).await.map_err(text)?;
            let commitment = piece.map(|piece| piece.piece.commitment);
            let commitment = commitment.ok_or_else(|| format!("A12: the job of {} has no piece", job.cid))?;
            // Pieces of the other user have no bytes on this disk.
            if !self.pieces.contains(&commitment) || self.uploads.with_job.contains(&commitment) {
                with_job.insert(commitment);
            }
        }
        let mut known = store.recorded_pieces().await.map_err(text)?;
        known.retain(|piece| !self.pieces.contains(piece) || self.uploads.with_job.contains(piece));
        for piece in &with_job {
            if !self.pieces.contains(piece) {
                self.pieces.push(*piece);
                self.shared.local().insert(*piece);
                self.uploads.with_job.insert(*piece);
            }
        }
        let plain = |pieces: &BTreeSet<Commitment>| pieces.iter().map(ToString::to_string).collect();
        let local = self.shared.local().clone();
        let evicted = with_job.iter().filter(|piece| !local.contains(piece)).map(ToString::to_string);
        crate::judge::Disk {
            with_job: plain(&self.uploads.with_job),
            without_job: plain(&self.uploads.without_job),
            jobs: plain(&with_job),
            known: plain(&known),
            files: files.iter().map(ToString::to_string).collect(),
            litter: self.uploads.staged(),
            evicted: evicted.collect(),
        }
        .check()
    }
}
