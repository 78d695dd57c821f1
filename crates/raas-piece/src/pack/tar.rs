//! Packing a tar stream as it arrives.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};

use super::packer::{PackError, PackOptions, Packed, Packer};
use crate::unixfs::Entry;

/// A tar stream that cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// No tar, or cut short.
    #[error("could not read the tar stream after {entries} entries")]
    Read {
        /// Entries read before.
        entries: u64,
        /// Why.
        source: io::Error,
    },
    /// A path or link target that is not UTF-8.
    #[error("the path of entry {entry} of the tar stream is not UTF-8; rename it")]
    NotUtf8 {
        /// Its number, from 0.
        entry: u64,
    },
    /// A device, socket or pipe.
    #[error("{path:?} in the tar stream is no file, directory or link; leave it out")]
    Special {
        /// What.
        path: String,
    },
    /// A hard link to a file that did not come before.
    #[error("{path:?} in the tar stream is a hard link to {target:?}, which did not come before it")]
    HardLink {
        /// The link.
        path: String,
        /// What it names.
        target: String,
    },
}

/// Packs a tar stream into an empty file: the root is a directory with the stream's entries.
///
/// As in directories on disk, names that begin with a dot are left out unless the options say otherwise; owners,
/// modes and times are not kept. A path that comes twice is an error.
///
/// # Errors
/// [`PackError`]; the output then holds an unusable part.
pub fn pack_tar<W: Write + Seek>(
    reader: impl Read,
    out: W,
    options: &PackOptions,
) -> Result<(Packed, W), PackError> {
    let mut packer = Packer::new(out, options)?;
    let mut archive = tar::Archive::new(reader);
    let mut files = BTreeMap::new();
    let mut buffer = vec![0; 256 << 10];
    let read = |entries: u64| move |source| TarError::Read { entries, source };
    for (count, entry) in (0u64..).zip(archive.entries().map_err(read(0))?) {
        let mut entry = entry.map_err(read(count))?;
        let path = clean(&entry.path_bytes(), count)?;
        // `.` and `..` are not hidden; the packer refuses them.
        let hidden = path.split('/').any(|part| part.starts_with('.') && part != "." && part != "..");
        if !path.is_empty() && (options.disk.hidden || !hidden) {
            add(&mut packer, &mut entry, &path, count, &mut files, &mut buffer)?;
        }
    }
    packer.finish()
}

fn add<W: Write + Seek, R: Read>(
    packer: &mut Packer<W>,
    entry: &mut tar::Entry<'_, R>,
    path: &str,
    count: u64,
    files: &mut BTreeMap<String, Entry>,
    buffer: &mut [u8],
) -> Result<(), PackError> {
    let kind = entry.header().entry_type();
    let target = entry.link_name_bytes().map(|bytes| bytes.into_owned()).unwrap_or_default();
    if kind.is_dir() {
        packer.add_dir(path)?;
    } else if kind.is_symlink() {
        let target = str::from_utf8(&target).map_err(|_| TarError::NotUtf8 { entry: count })?;
        packer.add_symlink(path, target)?;
    } else if kind.is_hard_link() {
        let target = clean(&target, count)?;
        let path = path.to_owned();
        let file = files.get(&target).ok_or(TarError::HardLink { path: path.clone(), target })?;
        packer.add_entry(&path, *file)?;
    } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
        packer.begin_file(path)?;
        loop {
            match entry.read(buffer) {
                Ok(0) => break,
                Ok(n) => packer.write(&buffer[..n])?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(TarError::Read { entries: count, source }.into()),
            }
        }
        files.insert(path.to_owned(), packer.end_file()?);
    } else {
        return Err(TarError::Special { path: path.to_owned() }.into());
    }
    Ok(())
}

/// A path of the stream without `./` in front and `/` behind; other oddities are for the packer to refuse.
fn clean(path: &[u8], entry: u64) -> Result<String, TarError> {
    let path = str::from_utf8(path).map_err(|_| TarError::NotUtf8 { entry })?;
    let path = path.trim_end_matches('/');
    let path = path.strip_prefix("./").unwrap_or(path);
    Ok(if path == "." { String::new() } else { path.to_owned() })
}
