//! From a stream of chunks to a kept piece, on a blocking thread and in flat memory.

use crate::blocks::{Claim, NoRoom, PieceStore, Staged, core_size};
use crate::causes::chain;
use crate::store::{NewPiece, is_storage_full};
use axum::body::Bytes;
use raas_core::cid::DataCid;
use raas_piece::car::Limits;
use raas_piece::pack::{PackError, PackOptions, Packed, pack_car, pack_reader};
use raas_piece::unixfs::Profile;
use std::io::{self, Read, Seek, SeekFrom};
use tokio::sync::mpsc::Receiver;

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

/// Why bytes did not become a piece.
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

/// A kept piece that is not recorded yet.
#[derive(Debug)]
pub struct Taken {
    /// As it is to be recorded.
    pub piece: NewPiece,
    /// Bytes received.
    pub bytes: u64,
    /// Held until it is recorded and something keeps it.
    pub claim: Claim,
}

/// Packs, checks the CID the caller named, and keeps the piece.
pub fn pack(pieces: &PieceStore, mut input: Input) -> Result<Taken, PackFailure> {
    let expected = input.expected.clone();
    let outcome = match (input.kind, expected) {
        (Kind::Car, expected) => car(pieces, &mut input, expected.as_ref()),
        (Kind::File, None) => file(pieces, &mut input, Profile::default()),
        (Kind::File, Some(cid)) => file_with_cid(pieces, &mut input, &cid),
    };
    if let Some(why) = input.broken {
        return Err(PackFailure::Truncated(why));
    }
    if input.too_large {
        return Err(PackFailure::TooLarge);
    }
    let (packed, staged) = outcome?;
    if input.taken == 0 {
        return Err(PackFailure::Empty);
    }
    let claim = pieces.keep(staged, &packed).map_err(local)?;
    let commitment = claim.piece();
    let root = DataCid::normalise(&packed.root).map_err(|error| PackFailure::Local(error.into()))?;
    let Some(size) = core_size(packed.piece.padded()) else { return Err(PackFailure::TooLarge) };
    let piece =
        NewPiece { root, commitment, size, car_bytes: packed.car_bytes, payload_bytes: packed.payload_bytes };
    Ok(Taken { piece, bytes: input.taken, claim })
}

type Outcome = Result<(Packed, Staged), PackFailure>;

fn file(pieces: &PieceStore, reader: &mut impl Read, profile: Profile) -> Outcome {
    let options = PackOptions { profile, ..PackOptions::default() };
    pack_reader(reader, pieces.stage().map_err(local)?, &options).map_err(failure)
}

fn car(pieces: &PieceStore, reader: &mut impl Read, expected: Option<&DataCid>) -> Outcome {
    let root = expected.map(DataCid::cid);
    pack_car(reader, pieces.stage().map_err(local)?, root, Limits::default()).map_err(failure)
}

/// The caller's CID decides the profile: each known one is tried over the staged bytes.
fn file_with_cid(pieces: &PieceStore, input: &mut Input, expected: &DataCid) -> Outcome {
    let mut raw = pieces.stage().map_err(local)?;
    io::copy(input, &mut raw).map_err(local)?;
    let mut computed = None;
    for profile in Profile::ALL {
        raw.seek(SeekFrom::Start(0)).map_err(local)?;
        let (packed, staged) = file(pieces, &mut raw, profile)?;
        if DataCid::normalise(&packed.root).is_ok_and(|root| root == *expected) {
            return Ok((packed, staged));
        }
        computed.get_or_insert(packed.root);
    }
    let computed = computed.map(|root| root.to_string()).unwrap_or_default();
    Err(PackFailure::Mismatch { computed })
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
        pack(pieces, Input::new(receiver, Kind::File, None, 1_000))
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
