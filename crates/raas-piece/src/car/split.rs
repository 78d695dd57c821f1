//! Writing a DAG that is too large for one piece into several linked CARs.
//!
//! Every part is a CARv1 of its own under the limit, and the header of each names the root of the whole: who
//! has a part knows what it is part of, and who has all parts has the DAG ([`super::BlockSet`]).

use std::io::{Seek, Write};
use std::num::NonZero;

use ::cid::{Cid, Version};

use super::writer::{Writer, Written};
use crate::block::{BlockSink, SinkError};

/// Makes the empty file of the next part.
pub type NextFile<'f, W> = Box<dyn FnMut(usize) -> std::io::Result<W> + 'f>;

/// CARs being written one after the other. A block is in exactly one of them.
pub struct SplitWriter<'f, W: Write + Seek> {
    next_file: NextFile<'f, W>,
    root: Version,
    limit_bytes: u64,
    threads: NonZero<usize>,
    full: Vec<Writer<W>>,
    current: Writer<W>,
}

impl<W: Write + Seek> std::fmt::Debug for SplitWriter<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SplitWriter").field("full", &self.full.len()).finish_non_exhaustive()
    }
}

impl<'f, W: Write + Seek> SplitWriter<'f, W> {
    /// Starts the first part. The whole will have one root of this CID version; no part is over `limit_bytes`.
    ///
    /// # Errors
    /// [`SinkError`] when a file cannot be made or written.
    pub fn new(
        mut next_file: NextFile<'f, W>,
        root: Version,
        limit_bytes: u64,
        threads: NonZero<usize>,
    ) -> Result<Self, SinkError> {
        let current = Writer::new(next_file(0)?, root, limit_bytes)?.on_threads(threads);
        Ok(Self { next_file, root, limit_bytes, threads, full: Vec::new(), current })
    }

    /// Puts the root into all headers and finishes all parts, in their order.
    ///
    /// # Errors
    /// [`SinkError`] when writing fails.
    pub fn finish(self, root: &Cid) -> Result<Vec<(Written, W)>, SinkError> {
        self.full.into_iter().chain([self.current]).map(|writer| writer.finish(root)).collect()
    }
}

impl<W: Write + Seek> BlockSink for SplitWriter<'_, W> {
    fn put(&mut self, cid: &Cid, data: &[u8]) -> Result<(), SinkError> {
        for part in &self.full {
            if part.has(cid)? {
                return Ok(());
            }
        }
        match self.current.put(cid, data) {
            // A block that is too large for an empty part fits no part.
            Err(SinkError::Full { .. }) if self.current.blocks() > 0 => {}
            other => return other,
        }
        self.current.rest()?;
        let file = (self.next_file)(self.full.len() + 1)?;
        let next = Writer::new(file, self.root, self.limit_bytes)?.on_threads(self.threads);
        self.full.push(std::mem::replace(&mut self.current, next));
        self.current.put(cid, data)
    }
}
