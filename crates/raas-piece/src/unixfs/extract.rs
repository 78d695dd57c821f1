//! Writing a DAG to disk. Nothing is ever written outside the target, and nothing that exists is touched:
//! every file and directory is created new, names are checked, symbolic links that lead outside are left out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ::cid::Cid;

use super::list::list;
use super::name::check_name;
use super::node::{ReadError, UnixNode};
use super::read::FileReader;
use super::tree::MAX_DIRS_DEEP;
use crate::block::Blocks;

/// Caps on what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtractLimits {
    /// Files, directories and links together.
    pub entries: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

impl Default for ExtractLimits {
    /// A million entries, 1 TiB.
    fn default() -> Self {
        Self { entries: 1 << 20, bytes: 1 << 40 }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extracted {
    /// Files, directories and links.
    pub entries: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Symbolic links that lead out of the target and were not created: below the target, and where they lead.
    pub left_out: Vec<(PathBuf, String)>,
}

/// An extraction that stopped; what was written until then stays.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The DAG cannot be read, or must not be written.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The disk said no.
    #[error("could not create {}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

struct Task {
    cid: Cid,
    path: PathBuf,
    /// Directories between the target and this entry.
    depth: usize,
}

/// Writes the file, directory or link `root` as `target`, which must not exist.
///
/// # Errors
/// [`ExtractError`] at the first entry that cannot be written. A link that leads out of the target is none: it is told.
pub fn extract<B: Blocks>(
    blocks: &B,
    root: &Cid,
    target: &Path,
    limits: ExtractLimits,
) -> Result<Extracted, ExtractError> {
    let mut done = Extracted::default();
    let mut todo = vec![Task { cid: *root, path: target.to_owned(), depth: 0 }];
    while let Some(Task { cid, path, depth }) = todo.pop() {
        done.entries += 1;
        if done.entries + (done.left_out.len() + todo.len()) as u64 > limits.entries {
            return Err(limit("entries", limits.entries));
        }
        let failed = |source| ExtractError::Write { path: path.clone(), source };
        match UnixNode::load(blocks, &cid).map_err(ExtractError::Read)? {
            UnixNode::Bytes(_) | UnixNode::File { .. } => {
                done.bytes += write_file(blocks, cid, &path, limits.bytes.saturating_sub(done.bytes))?;
            }
            UnixNode::Symlink(to) => {
                if stays_inside(&to, depth) {
                    std::os::unix::fs::symlink(&to, &path).map_err(failed)?;
                } else {
                    let below = path.strip_prefix(target).unwrap_or(&path).to_owned();
                    done.entries -= 1;
                    done.left_out.push((below, to));
                }
            }
            UnixNode::Directory(_) | UnixNode::Shard(_) => {
                if depth >= MAX_DIRS_DEEP {
                    return Err(limit("levels of directories", MAX_DIRS_DEEP as u64));
                }
                fs::create_dir(&path).map_err(failed)?;
                for entry in list(blocks, &cid, limits.entries)? {
                    check_name(&entry.name).map_err(ReadError::from)?;
                    todo.push(Task { cid: entry.cid, path: path.join(&entry.name), depth: depth + 1 });
                }
            }
        }
    }
    Ok(done)
}

fn limit(what: &'static str, limit: u64) -> ExtractError {
    ExtractError::Read(ReadError::Limit { what, limit })
}

fn write_file<B: Blocks>(blocks: &B, cid: Cid, path: &Path, max_bytes: u64) -> Result<u64, ExtractError> {
    let failed = |source| ExtractError::Write { path: path.to_owned(), source };
    let mut reader = FileReader::open(blocks, cid)?;
    if reader.file_bytes() > max_bytes {
        return Err(limit("bytes left of the limit", max_bytes));
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    while let Some(chunk) = reader.next_chunk()? {
        file.write_all(&chunk).map_err(failed)?;
    }
    Ok(reader.file_bytes())
}

/// Whether a link at this depth leads to a place inside the target. Steps up are counted only at the start,
/// where the directories are real ones made here; after a name, which may be another link, a step up could
/// lead anywhere and is refused.
#[must_use]
pub fn stays_inside(to: &str, depth: usize) -> bool {
    let Some(mut level) = depth.checked_sub(1) else { return false };
    if to.starts_with('/') || to.contains('\0') || to.is_empty() {
        return false;
    }
    let mut named = false;
    for part in to.split('/') {
        match part {
            "" | "." => {}
            ".." if named || level == 0 => return false,
            ".." => level -= 1,
            _ => named = true,
        }
    }
    true
}
