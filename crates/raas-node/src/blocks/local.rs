//! The `Bytes` port over the folder of pieces: what comes from outside is verified while it is staged, and has a
//! name only after that.

use super::{NoRoom, PieceStore, Staged, core_commitment, core_size, hashing_threads};
use raas_clients::source::{Download, FetchError, Fetcher};
use raas_core::cid::{Commitment, DataCid};
use raas_core::ports::{Bytes, Effect, Fetched, Imported, Packed as PackedFacts, PieceSource};
use raas_core::units::PaddedSize;
use raas_piece::car::{CopiedParts, CopyError, Fault, Limits, Written, copy_part, copy_split};
use std::io::{self, Read as _};
use tokio_util::io::{StreamReader, SyncIoBridge};

/// Local pieces, and where others are fetched from.
#[derive(Clone, Debug)]
pub struct LocalBytes {
    pieces: PieceStore,
    fetcher: Fetcher,
    gateways: Vec<String>,
    max_bytes: u64,
}

/// Why a staged copy is not the piece.
enum Failure {
    WrongBytes(String),
    Unavailable(String),
}

impl LocalBytes {
    /// Keeps pieces in `pieces`; payloads are looked for at `gateways`, at most `max_bytes` of them.
    #[must_use]
    pub const fn new(pieces: PieceStore, fetcher: Fetcher, gateways: Vec<String>, max_bytes: u64) -> Self {
        Self { pieces, fetcher, gateways, max_bytes }
    }

    /// Downloads a piece from the first address that gives it and checks it against its commitment.
    async fn staged_piece(&self, source: &PieceSource) -> Result<(Written, Staged), Failure> {
        let mut last = Failure::Unavailable(format!("{} has no address", source.provider.provider));
        for url in &source.provider.urls {
            let named = source.within.map_or(source.piece, |within| within.aggregate);
            let span =
                source.within.map(|within| within.start..within.start.saturating_add(within.car_bytes));
            let download = match self.fetcher.piece_bytes(url, named, span, self.max_bytes).await {
                Ok(download) => download,
                Err(error) => {
                    last = unavailable(&error);
                    continue;
                }
            };
            let end = source.within.map_or(u64::MAX, |within| within.car_bytes);
            match self.stage(download, end, source.is_part).await {
                Ok((written, _)) if core_commitment(written.piece.commitment()) != source.piece => {
                    let other = core_commitment(written.piece.commitment());
                    return Err(Failure::WrongBytes(format!("a good CAR, but of piece {other}")));
                }
                Ok(staged) => return Ok(staged),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// Streams the CAR of a piece of at most `end` bytes into staging; every block is checked on the way, and the closure of its
    /// root unless it is a part. What follows is not read.
    async fn stage(&self, download: Download, end: u64, is_part: bool) -> Result<(Written, Staged), Failure> {
        let pieces = self.pieces.clone();
        let limits = Limits { total_bytes: self.max_bytes, ..Limits::default() };
        let reader = StreamReader::new(Box::pin(download.into_stream()));
        let bridge = SyncIoBridge::new(reader);
        let copied = tokio::task::spawn_blocking(move || {
            let staged = pieces.stage().map_err(|error| Failure::Unavailable(error.to_string()))?;
            let source = bridge.take(end);
            if is_part {
                let (_, written, staged) =
                    copy_part(source, staged, limits).map_err(|error| failure(&error))?;
                return Ok((written, staged));
            }
            let copied = copy_split(source, once(staged), None, limits, u64::MAX, hashing_threads())
                .map_err(|error| failure(&error))?;
            copied.parts.into_iter().next().ok_or_else(|| Failure::Unavailable("nothing came".to_owned()))
        });
        copied.await.map_err(|error| Failure::Unavailable(error.to_string()))?
    }

    /// Streams a CAR of a payload into staging, as one piece or, over `piece_max`, as several; every block and the closure of the
    /// root are checked on the way.
    async fn stage_payload(
        &self,
        download: Download,
        root: cid::Cid,
        piece_max: PaddedSize,
    ) -> Result<CopiedParts<Staged>, Failure> {
        let pieces = self.pieces.clone();
        let limits = Limits { total_bytes: self.max_bytes, ..Limits::default() };
        let reader = StreamReader::new(Box::pin(download.into_stream()));
        let bridge = SyncIoBridge::new(reader);
        let copied = tokio::task::spawn_blocking(move || {
            let next = |_| pieces.stage();
            let part_bytes = piece_max.payload_bytes();
            copy_split(bridge, next, Some(&root), limits, part_bytes, hashing_threads())
                .map_err(|error| failure(&error))
        });
        copied.await.map_err(|error| Failure::Unavailable(error.to_string()))?
    }

    /// Syncing takes a while, so it is done on a thread that may wait.
    async fn keep(&self, parts: Vec<(Written, Staged)>) -> io::Result<()> {
        let pieces = self.pieces.clone();
        let kept = tokio::task::spawn_blocking(move || pieces.keep_parts(parts).map(drop)).await;
        kept.map_err(io::Error::other)?
    }
}

/// What is told of parts; `None` where one is larger than any piece. The payload of a whole is told of one piece; of parts, each
/// has its own blocks.
fn facts(parts: &[(Written, Staged)], payload_bytes: u64) -> Option<Vec<PackedFacts>> {
    let fact = |(written, _): &(Written, Staged)| {
        Some(PackedFacts {
            commitment: core_commitment(written.piece.commitment()),
            size: core_size(written.piece.padded())?,
            car_bytes: written.car_bytes,
            payload_bytes: if parts.len() == 1 { payload_bytes } else { written.index.block_bytes() },
        })
    };
    parts.iter().map(fact).collect()
}

/// The one file there is to be.
fn once(staged: Staged) -> impl FnMut(usize) -> io::Result<Staged> {
    let mut staged = Some(staged);
    move |_| staged.take().ok_or_else(|| io::Error::other("a piece is one CAR"))
}

fn unavailable(error: &FetchError) -> Failure {
    Failure::Unavailable(error.to_string())
}

/// A source that sends other bytes is told apart from one that sends too few, and from our own disk.
fn failure(copy: &CopyError) -> Failure {
    if let Some(refusal) = NoRoom::among(copy) {
        return Failure::Unavailable(refusal.to_string());
    }
    let words = match copy {
        CopyError::Source(cause) => cause.to_string(),
        other => other.to_string(),
    };
    match copy.fault() {
        Fault::WrongBytes => Failure::WrongBytes(words),
        _ => Failure::Unavailable(words),
    }
}

impl Bytes for LocalBytes {
    async fn has(&self, piece: Commitment) -> bool {
        self.pieces.has(piece)
    }

    async fn fetch(&self, source: &PieceSource) -> Fetched {
        match self.staged_piece(source).await {
            Ok(staged) => match self.keep(vec![staged]).await {
                Ok(()) => Fetched::Verified,
                Err(error) => Fetched::Unavailable(format!("the disk: {error}")),
            },
            Err(Failure::WrongBytes(why)) => Fetched::WrongBytes(why),
            Err(Failure::Unavailable(why)) => Fetched::Unavailable(why),
        }
    }

    async fn verify(&self, source: &PieceSource) -> Fetched {
        match self.staged_piece(source).await {
            Ok(_) => Fetched::Verified,
            Err(Failure::WrongBytes(why)) => Fetched::WrongBytes(why),
            Err(Failure::Unavailable(why)) => Fetched::Unavailable(why),
        }
    }

    async fn import(&self, root: &DataCid, piece_max: PaddedSize) -> Imported {
        let mut wrong = None;
        let mut why = "no gateway is configured (sources.gateways); upload the bytes instead".to_owned();
        for gateway in &self.gateways {
            let download = match self.fetcher.car(gateway, root, self.max_bytes).await {
                Ok(download) => download,
                Err(error) => {
                    why = format!("{gateway}: {error}");
                    continue;
                }
            };
            match self.stage_payload(download, *root.cid(), piece_max).await {
                Ok(copied) => {
                    let Some(packed) = facts(&copied.parts, copied.block_bytes) else {
                        return Imported::Unavailable("larger than a 64 GiB piece".to_owned());
                    };
                    return match self.keep(copied.parts).await {
                        Ok(()) => Imported::Packed(packed),
                        Err(error) => Imported::Unavailable(format!("the disk: {error}")),
                    };
                }
                Err(Failure::WrongBytes(words)) => wrong = Some(format!("{gateway}: {words}")),
                Err(Failure::Unavailable(words)) => why = format!("{gateway}: {words}"),
            }
        }
        wrong.map_or(Imported::Unavailable(why), Imported::WrongBytes)
    }

    async fn evict(&self, piece: Commitment) -> Effect<()> {
        let Some(claim) = self.pieces.claim(piece) else {
            return Effect::Failed("somebody brings the same bytes right now".to_owned());
        };
        match self.pieces.remove_claimed(&claim) {
            Ok(()) => Effect::Done(()),
            Err(error) => Effect::Failed(error.to_string()),
        }
    }
}
