//! A file as a balanced tree, built while its bytes arrive.

use super::dag_pb::Node;
use super::data::{Data, Kind};
use super::entry::{Entry, put_node};
use super::profile::Profile;
use crate::block::{BlockSink, RAW, SinkError, cid_v1};

/// A file being written. Memory: one chunk, and at most `max_links` entries per level.
///
/// Invariant: `levels[0]` are leaves; a full level is folded into its parent only when one more arrives,
/// so that a file of exactly one full node gets no second level.
#[derive(Debug)]
pub struct FileBuilder {
    profile: Profile,
    chunk: Vec<u8>,
    content_bytes: u64,
    levels: Vec<Vec<Entry>>,
}

impl FileBuilder {
    /// An empty file.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self { profile, chunk: Vec::new(), content_bytes: 0, levels: Vec::new() }
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Takes more bytes; whole chunks go to the sink at once.
    ///
    /// # Errors
    /// [`SinkError`] when a block cannot be kept.
    pub fn write(&mut self, mut bytes: &[u8], sink: &mut (impl BlockSink + ?Sized)) -> Result<(), SinkError> {
        let chunk_bytes = self.profile.chunk_bytes;
        self.content_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.chunk.is_empty() && bytes.len() >= chunk_bytes {
                let (leaf, rest) = bytes.split_at(chunk_bytes);
                self.leaf(leaf, sink)?;
                bytes = rest;
                continue;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(chunk_bytes - self.chunk.len()));
            self.chunk.reserve_exact(chunk_bytes - self.chunk.len());
            self.chunk.extend_from_slice(now);
            bytes = rest;
            if self.chunk.len() == chunk_bytes {
                let mut chunk = std::mem::take(&mut self.chunk);
                self.leaf(&chunk, sink)?;
                chunk.clear();
                self.chunk = chunk;
            }
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`SinkError`] when a block cannot be kept.
    pub fn finish(mut self, sink: &mut (impl BlockSink + ?Sized)) -> Result<Entry, SinkError> {
        if !self.chunk.is_empty() || self.levels.is_empty() {
            let chunk = std::mem::take(&mut self.chunk);
            self.leaf(&chunk, sink)?;
        }
        let mut level = 0;
        loop {
            let entries = self.levels.get_mut(level).map(std::mem::take).unwrap_or_default();
            let top = level + 1 >= self.levels.len();
            match entries.as_slice() {
                [root] if top => return Ok(*root),
                _ => {
                    let parent = self.node(&entries, sink)?;
                    self.add(level + 1, parent, sink)?;
                }
            }
            level += 1;
        }
    }

    fn leaf(&mut self, bytes: &[u8], sink: &mut (impl BlockSink + ?Sized)) -> Result<(), SinkError> {
        let content_bytes = bytes.len() as u64;
        let entry = if self.profile.raw_leaves {
            let cid = cid_v1(RAW, bytes);
            sink.put(&cid, bytes)?;
            Entry { cid, dag_bytes: content_bytes, content_bytes }
        } else {
            let inline = (!bytes.is_empty()).then(|| bytes.to_vec());
            let data = Data { bytes: inline, file_bytes: Some(content_bytes), ..Data::new(Kind::File) };
            let node = Node { links: Vec::new(), data: Some(data.encode()) };
            let (cid, dag_bytes) = put_node(&self.profile, &node, sink)?;
            Entry { cid, dag_bytes, content_bytes }
        };
        self.add(0, entry, sink)
    }

    fn add(
        &mut self,
        mut level: usize,
        mut entry: Entry,
        sink: &mut (impl BlockSink + ?Sized),
    ) -> Result<(), SinkError> {
        loop {
            if self.levels.len() <= level {
                self.levels.resize_with(level + 1, Vec::new);
            }
            let Some(entries) = self.levels.get_mut(level) else { return Ok(()) };
            if entries.len() < self.profile.max_links {
                entries.push(entry);
                return Ok(());
            }
            let full = std::mem::replace(entries, vec![entry]);
            entry = self.node(&full, sink)?;
            level += 1;
        }
    }

    /// The node over some entries.
    fn node(&self, entries: &[Entry], sink: &mut (impl BlockSink + ?Sized)) -> Result<Entry, SinkError> {
        let content_bytes = entries.iter().map(|entry| entry.content_bytes).sum();
        let data = Data {
            file_bytes: Some(content_bytes),
            block_bytes: entries.iter().map(|entry| entry.content_bytes).collect(),
            ..Data::new(Kind::File)
        };
        let links = entries.iter().map(|entry| entry.link(String::new())).collect();
        let (cid, own) = put_node(&self.profile, &Node { links, data: Some(data.encode()) }, sink)?;
        let below: u64 = entries.iter().map(|entry| entry.dag_bytes).sum();
        Ok(Entry { cid, dag_bytes: own + below, content_bytes })
    }
}
