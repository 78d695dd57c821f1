//! Packing driven from outside: the caller pushes names and bytes as they arrive.

use std::io::{Seek, Write};
use std::num::NonZero;

use ::cid::Cid;

use crate::car::{CopyError, Index, Writer};
use crate::commp::PieceInfo;
use crate::unixfs::{DiskError, DiskOptions, Entry, FileBuilder, ImportError, Profile, TreeBuilder, symlink};

/// How to pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackOptions {
    /// Import parameters; they decide the CID.
    pub profile: Profile,
    /// The CAR may not be longer than this, in bytes.
    pub max_car_bytes: u64,
    /// What is taken from directories on disk.
    pub disk: DiskOptions,
    /// Threads that hash CommP while the caller's reads, hashes leaves and writes.
    pub threads: NonZero<usize>,
}

impl Default for PackOptions {
    /// The default profile, and what fits a 64 GiB piece.
    fn default() -> Self {
        let max_car_bytes = (64 << 30) / 128 * 127;
        let threads = NonZero::<usize>::MIN;
        Self { profile: Profile::default(), max_car_bytes, disk: DiskOptions::default(), threads }
    }
}

/// Packed data.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The root CID of the data.
    pub root: Cid,
    /// Length of the CAR, in bytes.
    pub car_bytes: u64,
    /// The piece the CAR makes; its payload is the CAR.
    pub piece: PieceInfo,
    /// Bytes of the files, duplicates counted; of a CAR that was given: bytes of its blocks.
    pub payload_bytes: u64,
    /// Number of blocks in the CAR.
    pub blocks: u64,
    /// Where the blocks lie in the CAR.
    pub index: Index,
}

/// Data that could not be packed; the output then holds an unusable part.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The import failed.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A file or directory could not be imported.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A CAR was refused.
    #[error(transparent)]
    Car(#[from] CopyError),
    /// The data could not be read.
    #[error("could not read the data after {bytes} bytes")]
    Read {
        /// Bytes read before.
        bytes: u64,
        /// Why.
        source: std::io::Error,
    },
    /// A tar stream could not be taken.
    #[error(transparent)]
    Tar(#[from] super::tar::TarError),
    /// A nameless file beside other entries.
    #[error("a file without a name can only be packed alone; give every file a path")]
    Nameless,
}

impl From<crate::block::SinkError> for PackError {
    fn from(error: crate::block::SinkError) -> Self {
        Self::Import(ImportError::Sink(error))
    }
}

/// A piece being packed into an empty file.
///
/// Files come one after the other: begin, write, end. A file begun with the empty path is the root itself
/// and must be alone; with paths the root is a directory.
#[derive(Debug)]
pub struct Packer<W: Write + Seek> {
    car: Writer<W>,
    profile: Profile,
    tree: TreeBuilder,
    single: Option<Entry>,
    open: Option<(String, FileBuilder)>,
}

impl<W: Write + Seek> Packer<W> {
    /// Starts packing.
    ///
    /// # Errors
    /// [`PackError`] when the header cannot be written.
    pub fn new(out: W, options: &PackOptions) -> Result<Self, PackError> {
        let car =
            Writer::new(out, options.profile.version, options.max_car_bytes)?.on_threads(options.threads);
        let profile = options.profile;
        Ok(Self { car, profile, tree: TreeBuilder::new(profile), single: None, open: None })
    }

    /// Bytes of CAR written so far.
    #[must_use]
    pub const fn car_bytes(&self) -> u64 {
        self.car.car_bytes()
    }

    /// Begins a file.
    ///
    /// # Errors
    /// [`PackError`]: another file is open, or the path cannot be.
    pub fn begin_file(&mut self, path: &str) -> Result<(), PackError> {
        if self.open.is_some() {
            return Err(ImportError::NotOpen.into());
        }
        self.check_room(path)?;
        self.open = Some((path.to_owned(), FileBuilder::new(self.profile)));
        Ok(())
    }

    /// Takes more bytes of the open file.
    ///
    /// # Errors
    /// [`PackError`]: no file is open, or a block cannot be kept (disk full, piece limit).
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        let (_, file) = self.open.as_mut().ok_or(ImportError::NotOpen)?;
        Ok(file.write(bytes, &mut self.car)?)
    }

    /// Ends the open file.
    ///
    /// # Errors
    /// [`PackError`]: no file is open, a path given twice, or a block cannot be kept.
    pub fn end_file(&mut self) -> Result<Entry, PackError> {
        let (path, file) = self.open.take().ok_or(ImportError::NotOpen)?;
        let entry = file.finish(&mut self.car)?;
        self.place(&path, entry)?;
        Ok(entry)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// [`PackError`]: the path cannot be or is there already, or the block cannot be kept.
    pub fn add_symlink(&mut self, path: &str, target: &str) -> Result<Entry, PackError> {
        self.check_room(path)?;
        let entry = symlink(&self.profile, target, &mut self.car)?;
        self.place(path, entry)?;
        Ok(entry)
    }

    /// Adds a file or directory whose blocks were packed before, at another path.
    ///
    /// # Errors
    /// [`PackError`]: the path cannot be, or is there already.
    pub fn add_entry(&mut self, path: &str, entry: Entry) -> Result<(), PackError> {
        self.check_room(path)?;
        self.place(path, entry)
    }

    /// Adds a directory that may stay empty.
    ///
    /// # Errors
    /// [`PackError`]: the path cannot be, or is a file already.
    pub fn add_dir(&mut self, path: &str) -> Result<(), PackError> {
        self.check_room(path)?;
        Ok(self.tree.add_dir(path)?)
    }

    /// Writes the directories, patches the header and gives the piece and the file.
    ///
    /// # Errors
    /// [`PackError`]: a file is still open, or writing fails.
    pub fn finish(self) -> Result<(Packed, W), PackError> {
        let Self { mut car, tree, single, open, .. } = self;
        if open.is_some() {
            return Err(ImportError::NotOpen.into());
        }
        let entry = match single {
            Some(entry) => entry,
            None => tree.finish(&mut car)?,
        };
        seal(car, &entry)
    }

    fn check_room(&self, path: &str) -> Result<(), PackError> {
        let nameless = path.is_empty();
        if self.single.is_some() || (nameless && !self.tree.is_empty()) {
            return Err(PackError::Nameless);
        }
        if !nameless {
            TreeBuilder::check_path(path)?;
        }
        Ok(())
    }

    fn place(&mut self, path: &str, entry: Entry) -> Result<(), PackError> {
        if path.is_empty() {
            self.single = Some(entry);
            return Ok(());
        }
        Ok(self.tree.add(path, entry)?)
    }
}

/// Finishes a CAR over its root entry.
pub(super) fn seal<W: Write + Seek>(car: Writer<W>, entry: &Entry) -> Result<(Packed, W), PackError> {
    let (written, out) = car.finish(&entry.cid)?;
    let packed = Packed {
        root: entry.cid,
        car_bytes: written.car_bytes,
        piece: written.piece,
        payload_bytes: entry.content_bytes,
        blocks: written.blocks,
        index: written.index,
    };
    Ok((packed, out))
}
