//! Importing a file or directory from disk.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::dir::DirBuilder;
use super::entry::{Entry, ImportError, symlink};
use super::file::FileBuilder;
use super::profile::Profile;
use super::tree::MAX_DIRS_DEEP;
use crate::block::{BlockSink, SinkError};

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
    let mut file = File::open(path).map_err(|source| read_error(path, source))?;
    let mut builder = FileBuilder::new(*profile);
    let mut buffer = vec![0; profile.chunk_bytes];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(builder.finish(sink)?),
            Ok(n) => builder.write(&buffer[..n], sink)?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(read_error(path, e)),
        }
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
    for name in names(path, options)? {
        let at = path.join(&name);
        let kind = fs::symlink_metadata(&at).map_err(|source| read_error(&at, source))?.file_type();
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
