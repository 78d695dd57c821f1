//! A file as a balanced tree, built while its bytes arrive.

use std::io::{self, Read};

use super::dag_pb::Node;
use super::data::{Data, Kind};
use super::entry::{Entry, put_node};
use super::profile::Profile;
use crate::block::{BlockSink, DAG_PB, RAW, SinkError, cid_of_digest};
use crate::sha::Path;

/// A file being written. Memory: as many chunks as are hashed at once (1 to 32, by the machine), and at most
/// `max_links` entries per level.
///
/// Invariant: `levels[0]` are leaves; a full level is folded into its parent only when one more arrives,
/// so that a file of exactly one full node gets no second level.
#[derive(Debug)]
pub struct FileBuilder {
    profile: Profile,
    held: Vec<u8>,
    content_bytes: u64,
    levels: Vec<Vec<Entry>>,
}

impl FileBuilder {
    /// An empty file.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self { profile, held: Vec::new(), content_bytes: 0, levels: Vec::new() }
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// How many bytes at a time, from a multiple of it on, are taken without a copy.
    #[must_use]
    pub fn batch_bytes(profile: &Profile) -> usize {
        profile.chunk_bytes * Path::best().streams()
    }

    /// Takes more bytes; leaves go to the sink as soon as there are enough to hash together.
    ///
    /// # Errors
    /// [`SinkError`] when a block cannot be kept.
    pub fn write(&mut self, mut bytes: &[u8], sink: &mut (impl BlockSink + ?Sized)) -> Result<(), SinkError> {
        let batch_bytes = Self::batch_bytes(&self.profile);
        self.content_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.held.is_empty() && bytes.len() >= batch_bytes {
                let (batch, rest) = bytes.split_at(batch_bytes);
                self.leaves(batch, sink)?;
                bytes = rest;
                continue;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(batch_bytes - self.held.len()));
            self.held.extend_from_slice(now);
            bytes = rest;
            if self.held.len() == batch_bytes {
                let mut held = std::mem::take(&mut self.held);
                self.leaves(&held, sink)?;
                held.clear();
                self.held = held;
            }
        }
        Ok(())
    }

    /// Takes whole chunks and, at the end of the file, its rest; nothing is held from before.
    fn take(&mut self, chunks: &[&[u8]], sink: &mut (impl BlockSink + ?Sized)) -> Result<(), SinkError> {
        self.content_bytes += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        self.put_leaves(chunks, sink)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`SinkError`] when a block cannot be kept.
    pub fn finish(mut self, sink: &mut (impl BlockSink + ?Sized)) -> Result<Entry, SinkError> {
        let held = std::mem::take(&mut self.held);
        self.leaves(&held, sink)?;
        if self.levels.is_empty() {
            // A file of nothing is one leaf of nothing.
            self.put_leaves(&[&[]], sink)?;
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

    fn leaves(&mut self, bytes: &[u8], sink: &mut (impl BlockSink + ?Sized)) -> Result<(), SinkError> {
        let chunks: Vec<&[u8]> = bytes.chunks(self.profile.chunk_bytes).collect();
        self.put_leaves(&chunks, sink)
    }

    fn put_leaves(
        &mut self,
        chunks: &[&[u8]],
        sink: &mut (impl BlockSink + ?Sized),
    ) -> Result<(), SinkError> {
        for leaf in leaf_entries(&self.profile, chunks, sink)? {
            self.add(0, leaf, sink)?;
        }
        Ok(())
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

/// A file of everything a reader gives, read as many bytes at a time as are hashed together, into one buffer.
pub(crate) fn read_file<E: From<SinkError>>(
    mut reader: impl Read,
    profile: &Profile,
    sink: &mut (impl BlockSink + ?Sized),
    read_error: impl FnOnce(u64, io::Error) -> E,
) -> Result<Entry, E> {
    let mut file = FileBuilder::new(*profile);
    let mut room = Room::new(profile);
    loop {
        let (chunks, ended) = match room.fill(&mut reader) {
            Ok(read) => read,
            Err(error) => return Err(read_error(file.content_bytes(), error)),
        };
        file.take(&chunks, sink)?;
        if ended {
            return Ok(file.finish(sink)?);
        }
    }
}

/// Room for the chunks that are hashed together. They are read side by side, and at a distance of a power of two their bytes
/// would push each other out of the few lines that a cache has for them: so each begins a little later than that.
struct Room {
    buffer: Vec<u8>,
    first: usize,
    chunks: usize,
    chunk_bytes: usize,
}

impl Room {
    /// Bytes of a line of a cache.
    const LINE: usize = 64;
    /// Unused bytes behind each chunk: 32 chunks begin at as many different lines of the smallest caches.
    const GAP: usize = 2 * Self::LINE;

    fn new(profile: &Profile) -> Self {
        let (chunks, chunk_bytes) = (Path::best().streams(), profile.chunk_bytes);
        let buffer = vec![0; chunks * (chunk_bytes + Self::GAP) + Self::LINE];
        let first = buffer.as_ptr().align_offset(Self::LINE).min(Self::LINE);
        Self { buffer, first, chunks, chunk_bytes }
    }

    /// The next chunks, and whether they are the last; only the last of all is short.
    fn fill(&mut self, reader: &mut impl Read) -> io::Result<(Vec<&[u8]>, bool)> {
        let mut chunks = Vec::with_capacity(self.chunks);
        let places = self.buffer[self.first..].chunks_exact_mut(self.chunk_bytes + Self::GAP);
        for place in places.take(self.chunks) {
            let chunk = fill(reader, &mut place[..self.chunk_bytes])?;
            let ended = chunk.len() < self.chunk_bytes;
            if !chunk.is_empty() {
                chunks.push(chunk);
            }
            if ended {
                return Ok((chunks, true));
            }
        }
        Ok((chunks, false))
    }
}

/// Reads until the buffer is full or there is no more.
fn fill<'b>(reader: &mut impl Read, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let mut len = 0;
    while len < buffer.len() {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(&buffer[..len])
}

/// Stores chunks as leaves, hashed together. A file of one chunk is its leaf.
pub(super) fn leaf_entries(
    profile: &Profile,
    chunks: &[&[u8]],
    sink: &mut (impl BlockSink + ?Sized),
) -> Result<Vec<Entry>, SinkError> {
    if profile.raw_leaves {
        return put_all(profile, RAW, chunks, chunks, sink);
    }
    let blocks: Vec<Vec<u8>> = chunks
        .iter()
        .map(|chunk| {
            let inline = (!chunk.is_empty()).then(|| chunk.to_vec());
            let data = Data { bytes: inline, file_bytes: Some(chunk.len() as u64), ..Data::new(Kind::File) };
            Node { links: Vec::new(), data: Some(data.encode()) }.encode()
        })
        .collect();
    let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
    put_all(profile, DAG_PB, &blocks, chunks, sink)
}

fn put_all(
    profile: &Profile,
    codec: u64,
    blocks: &[&[u8]],
    chunks: &[&[u8]],
    sink: &mut (impl BlockSink + ?Sized),
) -> Result<Vec<Entry>, SinkError> {
    let digests = Path::best().digests(blocks);
    let mut entries = Vec::with_capacity(blocks.len());
    for ((digest, block), chunk) in digests.iter().zip(blocks).zip(chunks) {
        let cid = cid_of_digest(profile.version, codec, digest);
        sink.put(&cid, block)?;
        entries.push(Entry { cid, dag_bytes: block.len() as u64, content_bytes: chunk.len() as u64 });
    }
    Ok(entries)
}
