//! The `Bytes` port over the folder of pieces: what comes from outside is verified while it is staged, and has a
//! name only after that.

use super::{NoRoom, PieceStore, Staged, core_commitment, core_size};
use raas_clients::source::{Download, FetchError, Fetcher};
use raas_core::cid::{Commitment, DataCid};
use raas_core::ports::{Bytes, Effect, Fetched, Imported, Packed as PackedFacts, PieceSource};
use raas_piece::car::{CopyError, Fault, Limits};
use raas_piece::pack::{PackError, Packed, pack_car};
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
    async fn staged_piece(&self, source: &PieceSource) -> Result<(Packed, Staged), Failure> {
        let mut last = Failure::Unavailable(format!("{} has no address", source.provider.provider));
        for url in &source.provider.urls {
            let named = source.within.map_or(source.piece, |within| within.aggregate);
            let download = match self.fetcher.piece(url, named, self.max_bytes).await {
                Ok(download) => download,
                Err(error) => {
                    last = unavailable(&error);
                    continue;
                }
            };
            let end = source.within.map_or(u64::MAX, |within| within.car_bytes);
            match self.stage(download, None, end).await {
                Ok((packed, _)) if core_commitment(packed.piece.commitment()) != source.piece => {
                    let other = core_commitment(packed.piece.commitment());
                    return Err(Failure::WrongBytes(format!("a good CAR, but of piece {other}")));
                }
                Ok(staged) => return Ok(staged),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// Streams a CAR of at most `end` bytes into staging; every block and the closure of its root are checked on the
    /// way. What follows is not read.
    async fn stage(
        &self,
        download: Download,
        root: Option<cid::Cid>,
        end: u64,
    ) -> Result<(Packed, Staged), Failure> {
        let pieces = self.pieces.clone();
        let limits = Limits { total_bytes: self.max_bytes, ..Limits::default() };
        let reader = StreamReader::new(Box::pin(download.into_stream()));
        let bridge = SyncIoBridge::new(reader);
        let copied = tokio::task::spawn_blocking(move || {
            let staged = pieces.stage().map_err(|error| Failure::Unavailable(error.to_string()))?;
            pack_car(bridge.take(end), staged, root.as_ref(), limits).map_err(failure)
        });
        copied.await.map_err(|error| Failure::Unavailable(error.to_string()))?
    }

    /// Syncing takes a while, so it is done on a thread that may wait.
    async fn keep(&self, staged: Staged, packed: &Packed) -> io::Result<Commitment> {
        let (pieces, packed) = (self.pieces.clone(), packed.clone());
        let kept = tokio::task::spawn_blocking(move || pieces.keep(staged, &packed)).await;
        Ok(kept.map_err(io::Error::other)??.piece())
    }
}

fn unavailable(error: &FetchError) -> Failure {
    Failure::Unavailable(error.to_string())
}

/// A source that sends other bytes is told apart from one that sends too few, and from our own disk.
fn failure(error: PackError) -> Failure {
    if let Some(refusal) = NoRoom::among(&error) {
        return Failure::Unavailable(refusal.to_string());
    }
    let PackError::Car(copy) = &error else { return Failure::Unavailable(error.to_string()) };
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
            Ok((packed, staged)) => match self.keep(staged, &packed).await {
                Ok(_) => Fetched::Verified,
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

    async fn import(&self, root: &DataCid) -> Imported {
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
            match self.stage(download, Some(*root.cid()), u64::MAX).await {
                Ok((packed, staged)) => {
                    let Some(size) = core_size(packed.piece.padded()) else {
                        return Imported::Unavailable("larger than a 64 GiB piece".to_owned());
                    };
                    return match self.keep(staged, &packed).await {
                        Ok(commitment) => Imported::Packed(PackedFacts {
                            commitment,
                            size,
                            car_bytes: packed.car_bytes,
                            payload_bytes: packed.payload_bytes,
                        }),
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
