//! Reading a file's bytes from its DAG, from any position.

use std::io::{self, Read};

use ::cid::Cid;

use super::node::{ReadError, UnixNode};
use crate::block::Blocks;

/// A real file of 64 GiB in the narrowest known layout is 5 levels deep.
const MAX_DEPTH: usize = 64;
/// Parts that wait on the way down to one of them, 26 MiB; of a real file there are 1,024 on each level.
const MAX_WAITING: usize = 1 << 18;

/// A file being read. Memory: one block, and the parts of the nodes on the way down.
///
/// Every node must hold exactly the bytes its parent said, so the length is known at the start and a
/// position can be reached without reading what lies before.
#[derive(Debug)]
pub struct FileReader<B> {
    blocks: B,
    root: Cid,
    file_bytes: u64,
    /// Nodes on the way: parts not yet entered, the next one last.
    stack: Vec<Vec<(Cid, u64)>>,
    /// Bytes to leave out before the next byte given.
    skip: u64,
    /// Bytes at hand, not yet read through [`Read`].
    ready: Vec<u8>,
    ready_from: usize,
}

impl<B: Blocks> FileReader<B> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ReadError`] when the root cannot be had or is no file.
    pub fn open(blocks: B, root: Cid) -> Result<Self, ReadError> {
        let file_bytes = match UnixNode::load(&blocks, &root)? {
            UnixNode::Bytes(bytes) => bytes.len() as u64,
            UnixNode::File { file_bytes, .. } => file_bytes,
            other => {
                let found = other.describe();
                return Err(ReadError::NotA { cid: Box::new(root), found, wanted: "a file" });
            }
        };
        let stack = vec![vec![(root, file_bytes)]];
        Ok(Self { blocks, root, file_bytes, stack, skip: 0, ready: Vec::new(), ready_from: 0 })
    }

    /// Length of the file, in bytes.
    #[must_use]
    pub const fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Goes to a position, counted from the start; past the end there is nothing to read.
    pub fn seek_to(&mut self, offset: u64) {
        self.stack = vec![vec![(self.root, self.file_bytes)]];
        self.skip = offset;
        self.ready.clear();
        self.ready_from = 0;
    }

    /// The next bytes of the file, at most one block; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError`] when a block cannot be had, or does not hold what its parent said.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        if self.ready_from < self.ready.len() {
            let rest = self.ready.split_off(self.ready_from);
            self.ready.clear();
            self.ready_from = 0;
            return Ok(Some(rest));
        }
        while let Some((cid, size)) = self.next_part() {
            let bytes = self.enter(&cid, size)?;
            if let Some(bytes) = self.after_skip(bytes) {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// The next part that holds wanted bytes; parts before the position, and empty ones, are passed over.
    fn next_part(&mut self) -> Option<(Cid, u64)> {
        while let Some(parts) = self.stack.last_mut() {
            match parts.pop() {
                Some((_, size)) if size <= self.skip => self.skip -= size,
                Some(part) => return Some(part),
                None => drop(self.stack.pop()),
            }
        }
        None
    }

    /// Loads a part, puts its own parts on the way and gives its inline bytes.
    fn enter(&mut self, cid: &Cid, size: u64) -> Result<Vec<u8>, ReadError> {
        let inconsistent = |what| ReadError::Inconsistent { cid: Box::new(*cid), what };
        let (inline, parts, file_bytes) = match UnixNode::load(&self.blocks, cid)? {
            UnixNode::Bytes(bytes) => {
                let len = bytes.len() as u64;
                (bytes, Vec::new(), len)
            }
            UnixNode::File { inline, parts, file_bytes } => (inline, parts, file_bytes),
            _ => return Err(inconsistent("it is part of a file but no file itself")),
        };
        if file_bytes != size {
            return Err(inconsistent("it does not hold the bytes its parent says"));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(ReadError::Limit { what: "levels", limit: MAX_DEPTH as u64 });
        }
        let waiting: usize = self.stack.iter().map(Vec::len).sum();
        if waiting + parts.len() > MAX_WAITING {
            return Err(ReadError::Limit { what: "parts that wait to be read", limit: MAX_WAITING as u64 });
        }
        self.stack.push(parts.into_iter().rev().collect());
        Ok(inline)
    }

    fn after_skip(&mut self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= skip as u64;
        if skip > 0 {
            bytes.drain(..skip);
        }
        (!bytes.is_empty()).then_some(bytes)
    }
}

impl<B: Blocks> Iterator for FileReader<B> {
    type Item = Result<Vec<u8>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_chunk().transpose()
    }
}

impl<B: Blocks> Read for FileReader<B> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ready_from >= self.ready.len() {
            self.ready = self.next_chunk().map_err(io::Error::other)?.unwrap_or_default();
            self.ready_from = 0;
        }
        let ready = self.ready.get(self.ready_from..).unwrap_or_default();
        let take = ready.len().min(buffer.len());
        let (now, _) = ready.split_at(take);
        buffer[..take].copy_from_slice(now);
        self.ready_from += take;
        Ok(take)
    }
}
