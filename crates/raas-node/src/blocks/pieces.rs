//! Pieces on disk. Owner of `<data_dir>/pieces`.
//!
//! A file under its piece CID is complete and was verified; everything else is in `staging`, which is emptied
//! at start, or in `quarantine`, where damaged files are put aside. A crash loses what was being staged and nothing that
//! had its name.

use super::claims::{Claim, Claims};
use super::examine::{Examined, examine};
use super::room::Room;
use super::{LocalPiece, Staged};
use crate::failpoint;
use raas_core::cid::Commitment;
use raas_core::units::PaddedSize;
use raas_piece::car::{Filter, Index, Seal, Written, sealed};
use raas_piece::pack::Packed;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pieces that are held open, two files each.
const OPEN_MAX: usize = 64;

/// The folder of pieces. Clones share it.
#[derive(Clone, Debug)]
pub struct PieceStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    room: Room,
    shelf: Mutex<Shelf>,
    claims: Claims,
}

/// What is known of the pieces on the disk. It may be behind: the disk is asked before anything is believed.
#[derive(Debug, Default)]
struct Shelf {
    /// Of every piece, which blocks it surely does not have.
    filters: BTreeMap<Commitment, Arc<Filter>>,
    /// The last pieces that were opened, with the file that each was; the newest last.
    open: Vec<(FileId, LocalPiece)>,
    /// Pieces that were put aside, with why, until somebody notes it.
    aside: BTreeMap<Commitment, String>,
    /// Pieces at which a reader met what cannot be right, until somebody hashes them again.
    suspects: BTreeSet<Commitment>,
}

/// One file, whatever its name: device, number, length.
type FileId = (u64, u64, u64);

fn file_id(meta: &Metadata) -> FileId {
    (meta.dev(), meta.ino(), meta.len())
}

impl PieceStore {
    /// Opens the folder, makes it when it is missing, drops what a crash left in staging, and looks at lengths and
    /// ends of all pieces. Nothing is kept free.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        Self::open_with_reserve(root, 0)
    }

    /// As [`PieceStore::open`]; nothing is staged that would leave less than `reserve_bytes` free on that disk.
    pub fn open_with_reserve(root: impl Into<PathBuf>, reserve_bytes: u64) -> io::Result<Self> {
        let root = root.into();
        let staging = root.join("staging");
        if staging.exists() {
            fs::remove_dir_all(&staging)?;
        }
        fs::create_dir_all(&staging)?;
        let room = Room::new(staging, reserve_bytes);
        let store = Self {
            inner: Arc::new(Inner { root, room, shelf: Mutex::default(), claims: Claims::default() }),
        };
        store.examine_all()?;
        Ok(store)
    }

    /// A new empty file in staging.
    ///
    /// # Errors
    /// [`super::NoRoom`] as the source of a `StorageFull` when the reserve is reached, else the disk's own.
    pub fn stage(&self) -> io::Result<Staged> {
        Staged::new(&self.inner.room)
    }

    /// Gives a packed and verified file its name. Keeping what is there already is done. Nobody collects the piece while
    /// the claim lives: hold it until the piece is recorded. Blocks the thread.
    pub fn keep(&self, staged: Staged, packed: &Packed) -> io::Result<Claim> {
        self.keep_as(staged, packed.piece.commitment(), &packed.index)
    }

    /// As [`PieceStore::keep`] for the parts of one whole: the claims of all of them, in the order of the parts. When one cannot
    /// be kept, those that were kept before it and were not here go again.
    pub fn keep_parts(&self, parts: Vec<(Written, Staged)>) -> io::Result<Vec<Claim>> {
        let mut numbered: Vec<_> = parts.into_iter().enumerate().collect();
        // Two who bring the same parts wait for each other in one order.
        numbered.sort_by_key(|(_, (written, _))| core_commitment(written.piece.commitment()));
        let mut claims: Vec<(usize, Claim)> = Vec::new();
        let mut new = Vec::new();
        for (number, (written, staged)) in numbered {
            let commitment = written.piece.commitment();
            let was_here = self.has(core_commitment(commitment));
            match self.keep_as(staged, commitment, &written.index) {
                Ok(claim) => {
                    if !was_here {
                        new.push(number);
                    }
                    claims.push((number, claim));
                }
                Err(error) => {
                    for (_, claim) in claims.iter().filter(|(number, _)| new.contains(number)) {
                        self.remove_claimed(claim)?;
                    }
                    return Err(error);
                }
            }
        }
        claims.sort_by_key(|(number, _)| *number);
        Ok(claims.into_iter().map(|(_, claim)| claim).collect())
    }

    fn keep_as(
        &self,
        mut staged: Staged,
        commitment: raas_piece::Commitment,
        index: &Index,
    ) -> io::Result<Claim> {
        let commitment = core_commitment(commitment);
        let claim = self.inner.claims.wait(commitment);
        staged.sync()?;
        let seal = Seal::of(&mut staged)?;
        // The index first: a CAR with its name is a piece, so everything it needs is there before it.
        self.write_index(commitment, &sealed(index, &seal))?;
        failpoint::within("blocks.keep", || staged.persist(&self.path(commitment, "car")))?;
        self.sync_names()?;
        if let Examined::Whole(piece) = examine(self, commitment)? {
            self.note(&piece);
        }
        Ok(claim)
    }

    /// The right to delete a piece; `None` while somebody brings its bytes or deletes them.
    #[must_use]
    pub fn claim(&self, commitment: Commitment) -> Option<Claim> {
        self.inner.claims.try_now(commitment)
    }

    /// Puts an index in the place of what is there.
    pub(super) fn write_index(&self, commitment: Commitment, bytes: &[u8]) -> io::Result<()> {
        let index = failpoint::within("index.write", || {
            let mut index = tempfile::NamedTempFile::new_in(self.inner.root.join("staging"))?;
            index.write_all(bytes)?;
            index.as_file().sync_all()?;
            Ok::<_, io::Error>(index)
        })?;
        failpoint::within("blocks.keep", || index.persist(self.path(commitment, "index")))
            .map_err(|error| error.error)?;
        Ok(())
    }

    /// Makes renames and removals last.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        File::open(&self.inner.root)?.sync_all()
    }

    /// The CAR of a piece as it lies there, opened anew and not looked at; `None` when there is none.
    pub fn car(&self, commitment: Commitment) -> io::Result<Option<File>> {
        match File::open(self.path(commitment, "car")) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a piece; `None` when it is not here or not whole. Blocks the thread. One whose index is damaged gets a new one from its CAR,
    /// and a damaged CAR is put aside.
    pub fn get(&self, commitment: Commitment) -> io::Result<Option<LocalPiece>> {
        let meta = match fs::metadata(self.path(commitment, "car")) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget(commitment);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if let Some(piece) = self.opened(commitment, file_id(&meta)) {
            return Ok(Some(piece));
        }
        let whole = match examine(self, commitment)? {
            Examined::Whole(piece) => Some(piece),
            Examined::Absent => None,
            Examined::Unindexed(_) | Examined::Torn(_) => {
                self.mend(commitment, None)?.and_then(|(_, mended)| mended)
            }
        };
        match &whole {
            Some(piece) => self.remember(piece)?,
            None => self.forget(commitment),
        }
        Ok(whole)
    }

    /// A piece that is open already, if that is still the file under its name.
    fn opened(&self, commitment: Commitment, id: FileId) -> Option<LocalPiece> {
        let mut shelf = self.shelf();
        let at = shelf.open.iter().position(|(_, piece)| piece.commitment == commitment)?;
        let (of, piece) = shelf.open.remove(at);
        if of != id {
            return None;
        }
        shelf.open.push((of, piece.clone()));
        Some(piece)
    }

    fn remember(&self, piece: &LocalPiece) -> io::Result<()> {
        let id = file_id(&piece.file.metadata()?);
        self.note(piece);
        let mut shelf = self.shelf();
        if shelf.open.len() >= OPEN_MAX {
            shelf.open.remove(0);
        }
        shelf.open.push((id, piece.clone()));
        Ok(())
    }

    /// Notes which blocks a piece has.
    pub(super) fn note(&self, piece: &LocalPiece) {
        let filter = piece.index.filter();
        let mut shelf = self.shelf();
        shelf.open.retain(|(_, open)| open.commitment != piece.commitment);
        shelf.filters.insert(piece.commitment, filter);
    }

    /// Forgets a piece that is not here any more.
    pub(super) fn forget(&self, commitment: Commitment) {
        let mut shelf = self.shelf();
        shelf.open.retain(|(_, open)| open.commitment != commitment);
        shelf.filters.remove(&commitment);
    }

    /// Tells once which pieces were put aside and are not back, with why.
    #[must_use]
    pub fn take_aside(&self) -> BTreeMap<Commitment, String> {
        let mut aside = std::mem::take(&mut self.shelf().aside);
        aside.retain(|piece, _| !self.has(*piece));
        aside
    }

    /// Tells once which pieces are to be hashed again because of what a reader met.
    #[must_use]
    pub fn take_suspects(&self) -> BTreeSet<Commitment> {
        std::mem::take(&mut self.shelf().suspects)
    }

    /// Whether a reader met what cannot be right, and nobody has hashed it again since.
    #[must_use]
    pub fn has_suspects(&self) -> bool {
        !self.shelf().suspects.is_empty()
    }

    pub(super) fn suspect(&self, commitment: Commitment) {
        self.shelf().suspects.insert(commitment);
    }

    pub(super) fn note_aside(&self, commitment: Commitment, why: &str) {
        self.shelf().aside.insert(commitment, why.to_owned());
    }

    /// Whether the piece was whole when it was last looked at.
    pub(super) fn knows(&self, commitment: Commitment) -> bool {
        self.shelf().filters.contains_key(&commitment)
    }

    /// The pieces that may have a block.
    pub(super) fn candidates(&self, digest: &[u8; 32]) -> Vec<Commitment> {
        let shelf = self.shelf();
        shelf.filters.iter().filter(|(_, filter)| filter.may_have(digest)).map(|(piece, _)| *piece).collect()
    }

    /// Whether an open piece is still what lies under its name.
    pub(super) fn is_current(&self, piece: &LocalPiece) -> io::Result<bool> {
        let named = match fs::metadata(self.path(piece.commitment, "car")) {
            Ok(meta) => file_id(&meta),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(named == file_id(&piece.file.metadata()?))
    }

    /// Nothing panics while it is held, so what a poisoned one holds is whole.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.inner.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the piece is here.
    #[must_use]
    pub fn has(&self, commitment: Commitment) -> bool {
        self.path(commitment, "car").is_file() && self.path(commitment, "index").is_file()
    }

    /// Every piece that is here and whole.
    pub fn kept(&self) -> io::Result<Vec<Commitment>> {
        Ok(self.named("car")?.into_iter().filter(|commitment| self.has(*commitment)).collect())
    }

    /// The pieces of which there is a file with this ending.
    pub(super) fn named(&self, extension: &str) -> io::Result<Vec<Commitment>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.inner.root)? {
            let path = PathBuf::from(entry?.file_name());
            let ours = path.extension().is_some_and(|of| of == extension);
            let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| ours);
            found.extend(stem.and_then(|stem| stem.parse::<Commitment>().ok()));
        }
        Ok(found)
    }

    /// Removes the files of every piece that `owned` does not know, and those of half a piece, which a crash left.
    /// How many files that were.
    pub fn sweep(&self, owned: impl Fn(Commitment) -> bool) -> io::Result<usize> {
        let mut swept = 0;
        for extension in ["car", "index"] {
            for commitment in self.named(extension)? {
                if !(owned(commitment) && self.has(commitment)) {
                    fs::remove_file(self.path(commitment, extension))?;
                    self.forget(commitment);
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }

    /// Removes a piece, unless somebody brings its bytes right now. Removing what is not here is done.
    pub fn remove(&self, commitment: Commitment) -> io::Result<()> {
        self.claim(commitment).map_or(Ok(()), |claim| self.remove_claimed(&claim))
    }

    /// Removes the piece that is claimed.
    pub fn remove_claimed(&self, claim: &Claim) -> io::Result<()> {
        let commitment = claim.piece();
        self.forget(commitment);
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
        &self.inner.root
    }

    /// How much may still be staged.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.inner.room
    }

    pub(super) fn path(&self, commitment: Commitment, extension: &str) -> PathBuf {
        self.inner.root.join(format!("{commitment}.{extension}"))
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
        store.keep(staged, &packed).expect("kept").piece()
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
