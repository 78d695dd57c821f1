//! Importing a file or directory from disk.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::dir::DirBuilder;
use super::entry::{Entry, ImportError, symlink};
use super::file::{FileBuilder, leaf_entries, read_file};
use super::profile::Profile;
use super::tree::MAX_DIRS_DEEP;
use crate::block::{BlockSink, SinkError};

/// Small files hashed together, at most.
const SMALL_FILES: usize = 64;

/// What is taken from a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskOptions {
    /// Take entries whose names begin with a dot, too.
    pub hidden: bool,
}

/// A file or directory that could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The disk said no.
    #[error("could not read {}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name, or a link's target, that is not UTF-8.
    #[error("{} is not UTF-8; rename it", path.display())]
    NotUtf8 {
        /// What, as far as it can be shown.
        path: PathBuf,
    },
    /// A socket, pipe or device.
    #[error("{} is no file, directory or symbolic link; leave it out", path.display())]
    Special {
        /// What.
        path: PathBuf,
    },
    /// Directories too deep.
    #[error("{} is more than {MAX_DIRS_DEEP} directories deep", path.display())]
    TooDeep {
        /// What.
        path: PathBuf,
    },
    /// The import failed.
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl From<SinkError> for DiskError {
    fn from(error: SinkError) -> Self {
        Self::Import(ImportError::Sink(error))
    }
}

/// Imports a file or directory; the path itself may be a symbolic link, links inside are kept as links.
///
/// # Errors
/// [`DiskError`] naming the path.
pub fn import_path(
    path: &Path,
    profile: &Profile,
    options: DiskOptions,
    sink: &mut (impl BlockSink + ?Sized),
) -> Result<Entry, DiskError> {
    let metadata = fs::metadata(path).map_err(|source| read_error(path, source))?;
    if metadata.is_dir() {
        import_dir(path, profile, options, 0, sink)
    } else if metadata.is_file() {
        import_file(path, profile, sink)
    } else {
        Err(DiskError::Special { path: path.to_owned() })
    }
}

fn read_error(path: &Path, source: io::Error) -> DiskError {
    DiskError::Read { path: path.to_owned(), source }
}

fn import_file(
    path: &Path,
    profile: &Profile,
    sink: &mut (impl BlockSink + ?Sized),
) -> Result<Entry, DiskError> {
    let file = File::open(path).map_err(|source| read_error(path, source))?;
    read_file(file, profile, sink, |_, source| read_error(path, source))
}

/// Files of at most one chunk that wait to be hashed together, in the order of their directory.
#[derive(Default)]
struct SmallFiles {
    files: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

impl SmallFiles {
    /// The bytes of a file that is small enough. A file that grew while it was looked at is not.
    fn read(path: &Path, profile: &Profile, len: u64) -> Result<Option<Vec<u8>>, DiskError> {
        let chunk = profile.chunk_bytes as u64;
        if len > chunk {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
        let file = File::open(path).map_err(|source| read_error(path, source))?;
        file.take(chunk + 1).read_to_end(&mut bytes).map_err(|source| read_error(path, source))?;
        Ok((bytes.len() as u64 <= chunk).then_some(bytes))
    }

    fn push(
        &mut self,
        name: String,
        bytes: Vec<u8>,
        dir: &mut DirBuilder,
        profile: &Profile,
        sink: &mut (impl BlockSink + ?Sized),
    ) -> Result<(), DiskError> {
        self.bytes += bytes.len();
        self.files.push((name, bytes));
        let full = self.files.len() >= SMALL_FILES || self.bytes >= FileBuilder::batch_bytes(profile);
        if full { self.flush(dir, profile, sink) } else { Ok(()) }
    }

    fn flush(
        &mut self,
        dir: &mut DirBuilder,
        profile: &Profile,
        sink: &mut (impl BlockSink + ?Sized),
    ) -> Result<(), DiskError> {
        let files = std::mem::take(self).files;
        let chunks: Vec<&[u8]> = files.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        for ((name, _), entry) in files.iter().zip(leaf_entries(profile, &chunks, sink)?) {
            dir.add(name, &entry)?;
        }
        Ok(())
    }
}

/// Recursion is bounded by `MAX_DIRS_DEEP`.
fn import_dir(
    path: &Path,
    profile: &Profile,
    options: DiskOptions,
    depth: usize,
    sink: &mut (impl BlockSink + ?Sized),
) -> Result<Entry, DiskError> {
    if depth >= MAX_DIRS_DEEP {
        return Err(DiskError::TooDeep { path: path.to_owned() });
    }
    let mut dir = DirBuilder::new(*profile);
    let mut small = SmallFiles::default();
    for name in names(path, options)? {
        let at = path.join(&name);
        let metadata = fs::symlink_metadata(&at).map_err(|source| read_error(&at, source))?;
        let kind = metadata.file_type();
        if kind.is_file()
            && let Some(bytes) = SmallFiles::read(&at, profile, metadata.len())?
        {
            small.push(name, bytes, &mut dir, profile, sink)?;
            continue;
        }
        small.flush(&mut dir, profile, sink)?;
        let entry = if kind.is_symlink() {
            let target = fs::read_link(&at).map_err(|source| read_error(&at, source))?;
            let target = target.to_str().ok_or_else(|| DiskError::NotUtf8 { path: at.clone() })?;
            symlink(profile, target, sink)?
        } else if kind.is_dir() {
            import_dir(&at, profile, options, depth + 1, sink)?
        } else if kind.is_file() {
            import_file(&at, profile, sink)?
        } else {
            return Err(DiskError::Special { path: at });
        };
        dir.add(&name, &entry)?;
    }
    small.flush(&mut dir, profile, sink)?;
    Ok(dir.finish(sink)?)
}

/// The names taken from a directory, sorted, so that the order of blocks does not depend on the disk.
fn names(path: &Path, options: DiskOptions) -> Result<Vec<String>, DiskError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(|source| read_error(path, source))? {
        let entry = entry.map_err(|source| read_error(path, source))?;
        let name = entry.file_name().into_string().map_err(|_| DiskError::NotUtf8 { path: entry.path() })?;
        if options.hidden || !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
