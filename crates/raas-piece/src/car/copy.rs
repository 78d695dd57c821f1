//! Taking a CAR from an untrusted source: everything is checked while it is copied.
//!
//! The copy is exact (header, order, duplicates), so that the piece it makes is the piece of the source;
//! zeros after the last section are left out. The DAG under the root must be complete at the end.

use std::io::{self, Read, Seek, Write};
use std::num::NonZero;

use ::cid::Cid;

use super::closure::check_within;
use super::error::{CarError, Fault, fault_of_block};
use super::header::Header;
use super::index::Index;
use super::reader::{Limits, Reader};
use super::writer::{Writer, Written};
use crate::block::{BlockError, LinksError, SinkError, identity_bytes, same_block};
use crate::commp::PieceInfo;

/// A checked copy.
#[derive(Debug, Clone)]
pub struct Copied {
    /// The root whose DAG is complete in the copy.
    pub root: Cid,
    /// Length of the copy, in bytes.
    pub car_bytes: u64,
    /// The piece the copy makes; equal to the source piece when that was this CAR and zeros.
    pub piece: PieceInfo,
    /// Sections in the copy.
    pub blocks: u64,
    /// Bytes of all blocks, without CIDs and lengths.
    pub block_bytes: u64,
    /// Distinct blocks that the root does not reach.
    pub unreached_blocks: u64,
    /// Where the blocks lie in the copy.
    pub index: Index,
}

/// A CAR that could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source is no good CAR.
    #[error(transparent)]
    Source(#[from] CarError),
    /// The copy could not be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Without an expected root the header must name exactly one.
    #[error("the CAR names {0} roots; name the root you want, or give a CAR with one root")]
    Roots(usize),
    /// The CAR is of something else.
    #[error("the CAR does not contain the expected root {expected}")]
    OtherRoot {
        /// The root that was asked for.
        expected: Box<Cid>,
    },
    /// A block of the DAG is not in the CAR.
    #[error("the CAR is incomplete: block {cid} is missing")]
    Missing {
        /// The first one found missing.
        cid: Box<Cid>,
    },
    /// A block cannot be looked into.
    #[error(transparent)]
    Links(#[from] LinksError),
    /// A link names a block that cannot be checked.
    #[error(transparent)]
    Block(BlockError),
    /// A longer way down than the cap.
    #[error("block {cid} has links more than {limit} levels below the root")]
    TooDeep {
        /// The block on the last level that is allowed.
        cid: Box<Cid>,
        /// Cap.
        limit: u64,
    },
    /// The copy could not be read back.
    #[error("could not read the copy back")]
    ReadBack(#[source] io::Error),
}

impl CopyError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Source(error) => error.fault(),
            Self::Sink(SinkError::Full { .. }) => Fault::TooLarge,
            Self::Sink(SinkError::Block(error)) | Self::Block(error) => fault_of_block(error),
            Self::Sink(SinkError::Io(_)) | Self::ReadBack(_) => Fault::Local,
            Self::Roots(_) | Self::OtherRoot { .. } => Fault::WrongBytes,
            Self::Missing { .. } => Fault::Truncated,
            Self::Links(LinksError::Malformed { .. }) => Fault::WrongBytes,
            Self::Links(LinksError::UnsupportedCodec { .. }) => Fault::Unsupported,
            Self::Links(LinksError::TooWide { .. }) | Self::TooDeep { .. } => Fault::TooLarge,
        }
    }
}

/// Copies a CAR into an empty file, checking caps, every block hash and that the DAG of the root (the
/// expected one, else the header's only one) is complete.
///
/// Memory: one block and 80 bytes per distinct block, whatever the DAG looks like: 320 MiB for a CAR that uses up the
/// default number of blocks.
///
/// # Errors
/// [`CopyError`]; the file then holds an unusable part and should be removed.
pub fn copy_verified<W: Read + Write + Seek>(
    source: impl Read,
    copy: W,
    expected: Option<&Cid>,
    limits: Limits,
) -> Result<(Copied, W), CopyError> {
    let mut reader = Reader::new(source, limits)?;
    let roots = reader.header().roots.clone();
    let root = match (expected, roots.as_slice()) {
        (Some(root), _) | (None, [root]) => *root,
        (None, _) => return Err(CopyError::Roots(roots.len())),
    };
    let mut writer = Writer::with_header(copy, reader.header(), limits.total_bytes)?;
    let mut block_bytes = 0;
    while let Some(block) = reader.next_block()? {
        block_bytes += block.data.len() as u64;
        writer.put_again(&block.cid, block.data)?;
    }
    let (Written { car_bytes, piece, blocks, index }, mut copy) = writer.finish_as_is()?;
    has_root(&root, &roots, &[&index])?;
    let reached = check_within(&mut [(&mut copy, &index)], root, &limits)?;
    let unreached_blocks = (index.len() as u64).saturating_sub(reached);
    Ok((Copied { root, car_bytes, piece, blocks, block_bytes, unreached_blocks, index }, copy))
}

/// A checked copy in one or more linked CARs.
#[derive(Debug)]
pub struct CopiedParts<W> {
    /// The root whose DAG is complete in the parts together.
    pub root: Cid,
    /// Bytes of all blocks that were read, without CIDs and lengths.
    pub block_bytes: u64,
    /// The parts in order; one alone is the exact copy.
    pub parts: Vec<(Written, W)>,
}

/// As [`copy_verified`], into as many linked CARs of at most `part_bytes` as it takes; `next_file` makes the empty file of
/// each. What fits one is copied exactly. From the second part on a block is written once, and the header names the root.
/// CommP is hashed by `threads`.
///
/// # Errors
/// [`CopyError`]; the files then hold unusable parts and should be removed.
pub fn copy_split<W: Read + Write + Seek>(
    source: impl Read,
    mut next_file: impl FnMut(usize) -> io::Result<W>,
    expected: Option<&Cid>,
    limits: Limits,
    part_bytes: u64,
    threads: NonZero<usize>,
) -> Result<CopiedParts<W>, CopyError> {
    let mut reader = Reader::new(source, limits)?;
    let roots = reader.header().roots.clone();
    let root = match (expected, roots.as_slice()) {
        (Some(root), _) | (None, [root]) => *root,
        (None, _) => return Err(CopyError::Roots(roots.len())),
    };
    let mut next_file = |number| next_file(number).map_err(SinkError::Io);
    let mut writer = Writer::with_header(next_file(0)?, reader.header(), part_bytes)?.on_threads(threads);
    let (mut full, mut block_bytes): (Vec<(Written, W)>, u64) = (Vec::new(), 0);
    while let Some(block) = reader.next_block()? {
        block_bytes += block.data.len() as u64;
        let known = full.iter().any(|(written, _)| written.index.get(&block.cid).is_some());
        if known || (!full.is_empty() && writer.has(&block.cid)?) {
            continue;
        }
        match writer.put_again(&block.cid, block.data) {
            // A block that is too large for an empty part fits no part.
            Err(SinkError::Full { .. }) if writer.blocks() > 0 => {}
            put => {
                put?;
                continue;
            }
        }
        let header = Header::new(vec![root]);
        let next = Writer::with_header(next_file(full.len() + 1)?, &header, part_bytes)?.on_threads(threads);
        full.push(std::mem::replace(&mut writer, next).finish_as_is()?);
        // The first part may have had it, and been filled by its repetition.
        if full.iter().all(|(written, _)| written.index.get(&block.cid).is_none()) {
            writer.put_again(&block.cid, block.data)?;
        }
    }
    let last = writer.finish_as_is()?;
    full.push(last);
    has_root(&root, &roots, &full.iter().map(|(written, _)| &written.index).collect::<Vec<_>>())?;
    let mut parts: Vec<(&mut W, &Index)> =
        full.iter_mut().map(|(written, file)| (file, &written.index)).collect();
    check_within(&mut parts, root, &limits)?;
    Ok(CopiedParts { root, block_bytes, parts: full })
}

/// Copies one of several linked CARs into an empty file, checking caps and every block hash, but not that a DAG is
/// complete: it is not. Gives the root that the header names.
///
/// # Errors
/// [`CopyError`]; the file then holds an unusable part and should be removed.
pub fn copy_part<W: Write + Seek>(
    source: impl Read,
    copy: W,
    limits: Limits,
) -> Result<(Cid, Written, W), CopyError> {
    let mut reader = Reader::new(source, limits)?;
    let root = match reader.header().roots.as_slice() {
        [root] => *root,
        roots => return Err(CopyError::Roots(roots.len())),
    };
    let mut writer = Writer::with_header(copy, reader.header(), limits.total_bytes)?;
    while let Some(block) = reader.next_block()? {
        writer.put_again(&block.cid, block.data)?;
    }
    let (written, copy) = writer.finish_as_is()?;
    Ok((root, written, copy))
}

/// Whether the root was among the blocks, or what the CAR is of.
fn has_root(root: &Cid, named: &[Cid], indexes: &[&Index]) -> Result<(), CopyError> {
    let is_there = indexes.iter().any(|index| index.get(root).is_some())
        || identity_bytes(root).is_some()
        || named.iter().any(|named| same_block(named, root));
    if is_there { Ok(()) } else { Err(CopyError::OtherRoot { expected: Box::new(*root) }) }
}
