//! Pieces on disk. Owner of `<data_dir>/pieces`.
//!
//! A file under its piece CID is complete and was verified; everything else is in `staging`, which is emptied
//! at start. A crash loses what was being staged and nothing that had its name.

use raas_core::cid::Commitment;
use raas_core::units::PaddedSize;
use raas_piece::car::{CarStore, Index};
use raas_piece::pack::Packed;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of pieces.
#[derive(Clone, Debug)]
pub struct PieceStore {
    root: Arc<PathBuf>,
}

/// A file being written; it disappears unless it is kept.
#[derive(Debug)]
pub struct Staged(tempfile::NamedTempFile);

/// A complete piece, open for reading. It stays readable when it is removed meanwhile.
#[derive(Clone, Debug)]
pub struct LocalPiece {
    /// The CAR.
    pub file: Arc<File>,
    /// Its length in bytes.
    pub car_bytes: u64,
    /// Where its blocks lie.
    pub index: Arc<Index>,
}

impl LocalPiece {
    /// Its blocks by CID; each is hashed again when read.
    #[must_use]
    pub fn blocks(&self) -> CarStore<Arc<File>> {
        CarStore::new(Arc::clone(&self.file), Arc::clone(&self.index))
    }
}

impl PieceStore {
    /// Opens the folder, makes it when it is missing, and drops what a crash left in staging.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        let staging = root.join("staging");
        if staging.exists() {
            fs::remove_dir_all(&staging)?;
        }
        fs::create_dir_all(&staging)?;
        Ok(Self { root: Arc::new(root) })
    }

    /// A new empty file in staging.
    pub fn stage(&self) -> io::Result<Staged> {
        tempfile::NamedTempFile::new_in(self.root.join("staging")).map(Staged)
    }

    /// Gives a packed and verified file its name. Keeping what is there already is done.
    pub fn keep(&self, staged: Staged, packed: &Packed) -> io::Result<Commitment> {
        let commitment = core_commitment(packed.piece.commitment());
        staged.0.as_file().sync_all()?;
        let mut index = tempfile::NamedTempFile::new_in(self.root.join("staging"))?;
        index.write_all(&packed.index.to_bytes())?;
        index.as_file().sync_all()?;
        // The index first: a CAR with its name is a piece, so everything it needs is there before it.
        index.persist(self.path(commitment, "index")).map_err(|error| error.error)?;
        staged.0.persist(self.path(commitment, "car")).map_err(|error| error.error)?;
        File::open(self.root.as_path())?.sync_all()?;
        Ok(commitment)
    }

    /// The CAR of a piece alone, which is all it takes to read it from end to end.
    pub fn car(&self, commitment: Commitment) -> io::Result<Option<File>> {
        match File::open(self.path(commitment, "car")) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a piece; `None` when it is not here or not whole.
    pub fn get(&self, commitment: Commitment) -> io::Result<Option<LocalPiece>> {
        let Some(file) = self.car(commitment)? else { return Ok(None) };
        let index = match fs::read(self.path(commitment, "index")) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let index = Index::from_bytes(&index).map_err(io::Error::other)?;
        let car_bytes = file.metadata()?.len();
        Ok(Some(LocalPiece { file: Arc::new(file), car_bytes, index: Arc::new(index) }))
    }

    /// Whether the piece is here.
    #[must_use]
    pub fn has(&self, commitment: Commitment) -> bool {
        self.path(commitment, "car").is_file() && self.path(commitment, "index").is_file()
    }

    /// Every piece that is here and whole.
    pub fn kept(&self) -> io::Result<Vec<Commitment>> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(self.root.as_path())? {
            let name = entry?.file_name();
            let commitment = name.to_str().and_then(|name| name.strip_suffix(".car")?.parse().ok());
            kept.extend(commitment.filter(|commitment| self.has(*commitment)));
        }
        Ok(kept)
    }

    /// Removes the files of every piece that `owned` does not know, and those of half a piece, which a crash left.
    /// How many files that were.
    pub fn sweep(&self, owned: impl Fn(Commitment) -> bool) -> io::Result<usize> {
        let mut swept = 0;
        for entry in fs::read_dir(self.root.as_path())? {
            let path = entry?.path();
            let is_ours =
                path.extension().is_some_and(|extension| extension == "car" || extension == "index");
            let name = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_ours);
            let Some(commitment) = name.and_then(|name| name.parse().ok()) else { continue };
            if !(owned(commitment) && self.has(commitment)) {
                fs::remove_file(&path)?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Removes a piece. Removing what is not here is done.
    pub fn remove(&self, commitment: Commitment) -> io::Result<()> {
        for extension in ["car", "index"] {
            match fs::remove_file(self.path(commitment, extension)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, commitment: Commitment, extension: &str) -> PathBuf {
        self.root.join(format!("{commitment}.{extension}"))
    }
}

impl Read for Staged {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.as_file_mut().read(buffer)
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_file_mut().flush()
    }
}

impl Seek for Staged {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.as_file_mut().seek(to)
    }
}

/// The bytes' commitment in the words of the rules.
#[must_use]
pub fn core_commitment(commitment: raas_piece::Commitment) -> Commitment {
    Commitment(*commitment.as_bytes())
}

/// The bytes' padded size in the words of the rules; `None` past 64 GiB.
#[must_use]
pub fn core_size(size: raas_piece::PaddedSize) -> Option<PaddedSize> {
    PaddedSize::new(size.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use raas_piece::pack::{PackOptions, pack_reader};

    fn kept(store: &PieceStore, bytes: &[u8]) -> Commitment {
        let staged = store.stage().expect("a file");
        let (packed, staged) = pack_reader(bytes, staged, &PackOptions::default()).expect("packed");
        store.keep(staged, &packed).expect("kept")
    }

    #[test]
    fn a_piece_has_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = PieceStore::open(folder.path()).expect("a store");
        let mut staged = store.stage().expect("a file");
        staged.write_all(b"half a CAR").expect("written");
        std::mem::forget(staged);
        let commitment = kept(&store, b"some bytes");
        let store = PieceStore::open(folder.path()).expect("a store after a crash");
        assert_eq!(fs::read_dir(folder.path().join("staging")).expect("staging").count(), 0);
        assert!(store.has(commitment));
        let piece = store.get(commitment).expect("readable").expect("here");
        assert!(piece.car_bytes > 10 && piece.index.len() == 1);
        assert_eq!(kept(&store, b"some bytes"), commitment);
        store.remove(commitment).expect("removed");
        store.remove(commitment).expect("removed again");
        assert!(!store.has(commitment) && store.get(commitment).expect("no error").is_none());
    }

    #[test]
    fn what_nobody_owns_and_halves_are_swept() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = PieceStore::open(folder.path()).expect("a store");
        let (owned, orphan, half) = (kept(&store, b"owned"), kept(&store, b"orphan"), kept(&store, b"half"));
        fs::remove_file(store.path(half, "car")).expect("removed");
        fs::write(folder.path().join("notes.car"), b"somebody else's").expect("written");
        let swept = store.sweep(|piece| piece != orphan).expect("swept");
        assert_eq!(swept, 3, "two files of the orphan, one of the half");
        assert!(store.has(owned) && !store.has(orphan) && folder.path().join("notes.car").exists());
        assert_eq!(store.kept().expect("readable"), [owned]);
        assert_eq!(store.sweep(|_| true).expect("swept"), 0);
    }
}
