//! Whether a piece on the disk is whole, by lengths and ends; what is damaged is mended or put aside.
//!
//! An index can always be made again from its CAR. A CAR that is not as it was written can only be had from elsewhere: it
//! goes to `quarantine`, and the piece counts as not being here.

use super::{LocalPiece, PieceStore, core_commitment};
use raas_core::cid::Commitment;
use raas_piece::car::{CarError, Index, IndexFile, IndexFileError, Limits, Seal, sealed};
use raas_piece::commp::Hasher;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::sync::Arc;

/// Most threads that look at files at start; what they wait for is the disk.
const THREADS_MAX: usize = 8;

/// What the files of a piece are.
#[derive(Debug)]
pub(super) enum Examined {
    /// There is no CAR.
    Absent,
    /// As it was written, as far as lengths and ends tell.
    Whole(LocalPiece),
    /// The index is missing or damaged.
    Unindexed(String),
    /// The CAR is not the one that was written.
    Torn(String),
}

/// A piece whose files were damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Which.
    pub piece: Commitment,
    /// What is wrong with it.
    pub why: String,
    /// Whether it is whole again; else its files are in quarantine.
    pub mended: bool,
}

/// Looks at the files of one piece.
pub(super) fn examine(store: &PieceStore, commitment: Commitment) -> io::Result<Examined> {
    let Some(file) = existing(File::open(store.path(commitment, "car")))? else {
        return Ok(Examined::Absent);
    };
    let Some(index) = existing(File::open(store.path(commitment, "index")))? else {
        return Ok(Examined::Unindexed("its index is missing".to_owned()));
    };
    let bytes = index.metadata()?.len();
    let index = match IndexFile::open(index, bytes) {
        Ok(index) => index,
        Err(IndexFileError::Bad(why)) => return Ok(Examined::Unindexed(why.to_string())),
        Err(IndexFileError::Io(error)) if is_damage(&error) => {
            return Ok(Examined::Unindexed(format!("its index cannot be read: {error}")));
        }
        Err(IndexFileError::Io(error)) => return Err(error),
    };
    let car_bytes = file.metadata()?.len();
    if let Some(seal) = index.seal() {
        let found = match Seal::of(&file) {
            Ok(found) => found,
            Err(error) if is_damage(&error) => {
                return Ok(Examined::Torn(format!("the end of the CAR cannot be read: {error}")));
            }
            Err(error) => return Err(error),
        };
        if found.car_bytes != seal.car_bytes {
            let (found, written) = (found.car_bytes, seal.car_bytes);
            let why = format!("the CAR has {found} bytes, not the {written} that were written");
            return Ok(Examined::Torn(why));
        }
        if found.tail != seal.tail {
            return Ok(Examined::Torn("the end of the CAR is not what was written".to_owned()));
        }
    }
    Ok(Examined::Whole(LocalPiece { commitment, file: Arc::new(file), car_bytes, index: Arc::new(index) }))
}

/// Whether it is the bytes of one file that cannot be had, and not the disk as a whole.
pub(super) fn is_damage(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
        || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

fn existing<T>(opened: io::Result<T>) -> io::Result<Option<T>> {
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl PieceStore {
    /// Looks at all pieces, several at a time, and notes which blocks the whole ones have.
    pub(super) fn examine_all(&self) -> io::Result<()> {
        let pieces = self.named("car")?;
        let threads = pieces.len().clamp(1, THREADS_MAX);
        std::thread::scope(|scope| {
            let parts = pieces.chunks(pieces.len().div_ceil(threads).max(1));
            let started: Vec<_> = parts
                .map(|part| {
                    scope.spawn(move || {
                        part.iter().try_for_each(|commitment| {
                            if let Examined::Whole(piece) = examine(self, *commitment)? {
                                self.note(&piece);
                            }
                            Ok::<_, io::Error>(())
                        })
                    })
                })
                .collect();
            let ended = started.into_iter().map(std::thread::ScopedJoinHandle::join);
            let failed = |_| Err(io::Error::other("a look at a piece failed"));
            ended.map(|end| end.unwrap_or_else(failed)).fold(Ok(()), Result::and)
        })
    }

    /// Mends or puts aside every piece of `recorded` (with the length of its CAR) that is not whole. Those that are not
    /// here at all are not named: there is nothing to mend.
    pub fn repair(&self, recorded: &BTreeMap<Commitment, u64>) -> io::Result<Vec<Damage>> {
        let mut damages = Vec::new();
        for (commitment, car_bytes) in recorded {
            let whole = self.knows(*commitment)
                && existing(fs::metadata(self.path(*commitment, "car")))?
                    .is_some_and(|meta| meta.len() == *car_bytes);
            if !whole && let Some((why, mended)) = self.mend(*commitment, Some(*car_bytes))? {
                damages.push(Damage { piece: *commitment, why, mended: mended.is_some() });
            }
        }
        Ok(damages)
    }

    /// Makes a damaged piece whole where its CAR is good, else puts it aside: what was wrong, and the piece if it is
    /// whole again. `None` where nothing is wrong, or somebody brings it right now.
    pub(super) fn mend(
        &self,
        commitment: Commitment,
        car_bytes: Option<u64>,
    ) -> io::Result<Option<(String, Option<LocalPiece>)>> {
        let Some(_claim) = self.claim(commitment) else { return Ok(None) };
        let why = match examine(self, commitment)? {
            Examined::Whole(piece) => match car_bytes.filter(|recorded| *recorded != piece.car_bytes) {
                Some(recorded) => format!("the CAR has {} bytes, not {recorded}", piece.car_bytes),
                None => return Ok(None),
            },
            Examined::Absent => return Ok(None),
            Examined::Torn(why) => why,
            Examined::Unindexed(why) => {
                if let Some(piece) = self.index_again(commitment)? {
                    tracing::warn!(piece = %commitment, why, "a block index was made anew from its CAR");
                    return Ok(Some((why, Some(piece))));
                }
                format!("{why}, and the CAR is not what was written")
            }
        };
        self.quarantine(commitment, &why)?;
        Ok(Some((why, None)))
    }

    /// Gives a piece another index, since the one it has is damaged; `None` when it is not here, or its CAR is damaged as well and
    /// put aside, or somebody brings it right now.
    pub(super) fn reindex(&self, commitment: Commitment) -> io::Result<Option<LocalPiece>> {
        let Some(_claim) = self.claim(commitment) else { return Ok(None) };
        if !self.has(commitment) {
            return Ok(None);
        }
        if let Some(piece) = self.index_again(commitment)? {
            tracing::warn!(piece = %commitment, "a damaged block index was met by a reader and made anew");
            return Ok(Some(piece));
        }
        self.quarantine(commitment, "its index is damaged, and the CAR is not what was written")?;
        Ok(None)
    }

    /// Writes the index of a piece from its CAR; `None` when that is not the piece.
    pub(super) fn index_again(&self, commitment: Commitment) -> io::Result<Option<LocalPiece>> {
        let Some(index) = self.index_anew(commitment)? else { return Ok(None) };
        let seal = Seal::of(File::open(self.path(commitment, "car"))?)?;
        self.write_index(commitment, &sealed(&index, &seal))?;
        self.sync_names()?;
        let Examined::Whole(piece) = examine(self, commitment)? else { return Ok(None) };
        self.note(&piece);
        Ok(Some(piece))
    }

    /// The index of a CAR that is its piece to the last byte; `None` when it is not.
    fn index_anew(&self, commitment: Commitment) -> io::Result<Option<Index>> {
        let file = File::open(self.path(commitment, "car"))?;
        let mut hashing = Hashing { file, hasher: Hasher::new() };
        let index = match Index::scan(&mut hashing, Limits::default()) {
            Ok(index) => index,
            Err(CarError::Read { source, .. }) if !is_damage(&source) => return Err(source),
            Err(_) => return Ok(None),
        };
        // What stands behind the last block belongs to the piece, too.
        io::copy(&mut hashing, &mut io::sink())?;
        let found = hashing.hasher.finish().ok().map(|piece| core_commitment(piece.commitment()));
        Ok((found == Some(commitment)).then_some(index))
    }

    /// How many CARs were put aside and lie there still.
    pub fn quarantined(&self) -> io::Result<u64> {
        let Some(folder) = existing(fs::read_dir(self.root().join("quarantine")))? else { return Ok(0) };
        let mut count = 0;
        for entry in folder {
            count += u64::from(entry?.path().extension().is_some_and(|extension| extension == "car"));
        }
        Ok(count)
    }

    /// Puts the files of a piece aside.
    pub(super) fn quarantine(&self, commitment: Commitment, why: &str) -> io::Result<()> {
        tracing::error!(piece = %commitment, why, "a piece is damaged and put aside");
        self.forget(commitment);
        let folder = self.root().join("quarantine");
        fs::create_dir_all(&folder)?;
        // The CAR first: without it the rest is half a piece, which a start sweeps.
        for extension in ["car", "index"] {
            let from = self.path(commitment, extension);
            let Some(name) = from.file_name() else { continue };
            existing(fs::rename(&from, folder.join(name)))?;
        }
        self.note_aside(commitment, why);
        self.sync_names()
    }
}

/// A reader whose bytes are hashed on the way.
struct Hashing {
    file: File,
    hasher: Hasher,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
