//! From a stream of chunks to kept pieces, on a blocking thread and in flat memory. Nothing is written twice.

use crate::blocks::{Claim, NoRoom, PieceStore, Staged, core_commitment, core_size, hashing_threads};
use crate::causes::chain;
use crate::store::{NewPiece, is_storage_full};
use axum::body::Bytes;
use cid::Cid;
use raas_core::cid::DataCid;
use raas_core::units::PaddedSize;
use raas_piece::car::{BlockSet, CarStore, Limits, Written, copy_split};
use raas_piece::pack::{PackError, PackOptions, pack_reader_split};
use raas_piece::unixfs::{FileReader, Profile};
use std::io::{self, Read};
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// Blocks of a CAR that is uploaded, at most: 80 bytes of memory each.
const CAR_BLOCKS_MAX: u64 = 16 << 20;

/// What the bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// One file.
    #[default]
    File,
    /// A CARv1.
    Car,
}

/// What comes from the network: bytes, the end (`None`), or why there is no more.
pub type Chunk = Result<Option<Bytes>, String>;

/// Bytes as they arrive, counted and capped. They end only by a word: a caller that is gone has not sent everything.
pub struct Input {
    chunks: Receiver<Chunk>,
    ended: bool,
    current: Bytes,
    kind: Kind,
    expected: Option<DataCid>,
    left: u64,
    taken: u64,
    broken: Option<String>,
    too_large: bool,
}

/// Why bytes did not become pieces.
#[derive(Debug)]
pub enum PackFailure {
    /// The stream broke.
    Truncated(String),
    /// Not one byte came.
    Empty,
    /// Another CID than the caller's.
    Mismatch {
        /// What the default profile gives, or the CAR's root.
        computed: String,
    },
    /// No room on disk.
    DiskFull,
    /// What is left on the disk is to stay free.
    NoRoom(NoRoom),
    /// Over the cap.
    TooLarge,
    /// The CAR is wrong or incomplete.
    BadCar(String),
    /// Our own failure.
    Local(anyhow::Error),
}

impl Input {
    /// Reads from `chunks`; at most `max_bytes`.
    #[must_use]
    pub fn new(chunks: Receiver<Chunk>, kind: Kind, expected: Option<DataCid>, max_bytes: u64) -> Self {
        let current = Bytes::new();
        Self {
            chunks,
            ended: false,
            current,
            kind,
            expected,
            left: max_bytes,
            taken: 0,
            broken: None,
            too_large: false,
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            let gone = || Err("whoever sent it is gone".to_owned());
            match self.chunks.blocking_recv().unwrap_or_else(gone) {
                Ok(None) => self.ended = true,
                Ok(Some(chunk)) => self.current = chunk,
                Err(why) => {
                    self.broken = Some(why);
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        let length = buffer.len().min(self.current.len());
        if length as u64 > self.left {
            self.too_large = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        self.left -= length as u64;
        self.taken += length as u64;
        Ok(length)
    }
}

/// Kept pieces that are not recorded yet.
#[derive(Debug)]
pub struct Taken {
    /// As they are to be recorded: one, or the parts that hold the payload together, in order.
    pub pieces: Vec<NewPiece>,
    /// Bytes received.
    pub bytes: u64,
    /// Bytes of the file; of a CAR, of its blocks.
    pub payload_bytes: u64,
    /// Held until they are recorded and something keeps them.
    pub claims: Vec<Claim>,
}

/// Packs into as many pieces of at most `piece_max` as it takes, checks the CID the caller named, and keeps the pieces.
pub fn pack(pieces: &PieceStore, mut input: Input, piece_max: PaddedSize) -> Result<Taken, PackFailure> {
    let expected = input.expected.clone();
    let outcome = match (input.kind, expected) {
        (Kind::Car, expected) => car(pieces, &mut input, expected.as_ref(), piece_max),
        (Kind::File, None) => file(pieces, &mut input, Profile::default(), piece_max),
        (Kind::File, Some(cid)) => file_with_cid(pieces, &mut input, &cid, piece_max),
    };
    if let Some(why) = input.broken {
        return Err(PackFailure::Truncated(why));
    }
    if input.too_large {
        return Err(PackFailure::TooLarge);
    }
    let packed = outcome?;
    if input.taken == 0 {
        return Err(PackFailure::Empty);
    }
    let root = DataCid::normalise(&packed.root).map_err(|error| PackFailure::Local(error.into()))?;
    let alone = packed.parts.len() == 1;
    let new = |(written, _): &(Written, Staged)| {
        Some(NewPiece {
            root: root.clone(),
            commitment: core_commitment(written.piece.commitment()),
            size: core_size(written.piece.padded())?,
            car_bytes: written.car_bytes,
            payload_bytes: if alone { packed.payload_bytes } else { written.index.block_bytes() },
        })
    };
    let recorded: Option<Vec<NewPiece>> = packed.parts.iter().map(new).collect();
    let Some(recorded) = recorded else { return Err(PackFailure::TooLarge) };
    let claims = pieces.keep_parts(packed.parts).map_err(local)?;
    Ok(Taken { pieces: recorded, bytes: input.taken, payload_bytes: packed.payload_bytes, claims })
}

/// Packed data, in staging.
struct InParts {
    root: Cid,
    payload_bytes: u64,
    parts: Vec<(Written, Staged)>,
}

type Outcome = Result<InParts, PackFailure>;

fn file(pieces: &PieceStore, reader: impl Read, profile: Profile, piece_max: PaddedSize) -> Outcome {
    let max_car_bytes = piece_max.payload_bytes();
    let options =
        PackOptions { profile, max_car_bytes, threads: hashing_threads(), ..PackOptions::default() };
    let (entry, parts) = pack_reader_split(reader, |_| pieces.stage(), &options).map_err(failure)?;
    Ok(InParts { root: entry.cid, payload_bytes: entry.content_bytes, parts })
}

fn car(pieces: &PieceStore, reader: impl Read, expected: Option<&DataCid>, piece_max: PaddedSize) -> Outcome {
    let root = expected.map(DataCid::cid);
    let limits = Limits { total_bytes: u64::MAX, blocks: CAR_BLOCKS_MAX, ..Limits::default() };
    let part_bytes = piece_max.payload_bytes();
    let next = |_| pieces.stage();
    let copied = copy_split(reader, next, root, limits, part_bytes, hashing_threads())
        .map_err(|error| failure(error.into()))?;
    Ok(InParts { root: copied.root, payload_bytes: copied.block_bytes, parts: copied.parts })
}

/// The caller's CID decides the profile: the default is tried as the bytes come, and what it made is read again for each other
/// one that is known.
fn file_with_cid(
    pieces: &PieceStore,
    input: &mut Input,
    expected: &DataCid,
    piece_max: PaddedSize,
) -> Outcome {
    let is_it = |packed: &InParts| DataCid::normalise(&packed.root).is_ok_and(|root| root == *expected);
    let first = file(pieces, input, Profile::default(), piece_max)?;
    if is_it(&first) {
        return Ok(first);
    }
    for profile in Profile::ALL.into_iter().filter(|profile| *profile != Profile::default()) {
        let packed = file(pieces, again(&first)?, profile, piece_max)?;
        if is_it(&packed) {
            return Ok(packed);
        }
    }
    Err(PackFailure::Mismatch { computed: first.root.to_string() })
}

/// The bytes of a packed file, out of its blocks.
fn again(packed: &InParts) -> Result<impl Read, PackFailure> {
    let open = |(written, staged): &(Written, Staged)| {
        Ok(CarStore::new(Arc::new(staged.reader()?), Arc::new(written.index.clone())))
    };
    let stores: io::Result<Vec<_>> = packed.parts.iter().map(open).collect();
    let blocks = BlockSet::new(stores.map_err(local)?);
    FileReader::open(blocks, packed.root).map_err(|error| PackFailure::Local(error.into()))
}

fn failure(error: PackError) -> PackFailure {
    if let Some(refusal) = NoRoom::among(&error) {
        return PackFailure::NoRoom(*refusal);
    }
    if is_disk_full(&error) {
        return PackFailure::DiskFull;
    }
    match error {
        PackError::Car(raas_piece::car::CopyError::OtherRoot { expected }) => {
            PackFailure::BadCar(format!("it does not contain the root {expected}"))
        }
        PackError::Car(error) => PackFailure::BadCar(chain(&error)),
        other => PackFailure::Local(other.into()),
    }
}

fn local(error: io::Error) -> PackFailure {
    if let Some(refusal) = NoRoom::among(&error) {
        return PackFailure::NoRoom(*refusal);
    }
    if is_disk_full(&error) { PackFailure::DiskFull } else { PackFailure::Local(error.into()) }
}

/// Whether any cause of `error` is a full disk or an exceeded quota.
fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(is_storage_full) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    fn packed(pieces: &PieceStore, chunks: Vec<Chunk>) -> Result<Taken, PackFailure> {
        let (sender, receiver) = mpsc::channel(chunks.len().max(1));
        for chunk in chunks {
            sender.try_send(chunk).expect("room for all");
        }
        drop(sender);
        pack(pieces, Input::new(receiver, Kind::File, None, 1_000), PaddedSize::MAX)
    }

    /// The handler's future is dropped when its connection ends: what came so far is not the file.
    #[test]
    fn bytes_that_end_without_a_word_are_no_upload() {
        let folder = tempfile::tempdir().expect("a folder");
        let pieces = PieceStore::open(folder.path()).expect("a store");
        let half = || Ok(Some(Bytes::from_static(b"half of a file")));
        assert!(matches!(packed(&pieces, vec![half()]), Err(PackFailure::Truncated(_))));
        assert!(matches!(packed(&pieces, Vec::new()), Err(PackFailure::Truncated(_))));
        assert_eq!(pieces.kept().expect("readable"), []);
        assert_eq!(packed(&pieces, vec![half(), Ok(None)]).expect("a file").bytes, 14);
        assert!(matches!(packed(&pieces, vec![Ok(None)]), Err(PackFailure::Empty)));
    }
}
