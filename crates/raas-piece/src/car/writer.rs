//! Writing a CAR and its CommP in one pass.
//!
//! The root is known only after the last block, so the header is written with a root of zeros first and
//! patched at the end; the hasher keeps the first bytes aside for exactly this.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::num::NonZero;

use ::cid::{Cid, Version};
use multihash::Multihash;

use super::header::Header;
use super::index::{Index, IndexBuilder};
use crate::block::{BlockSink, RAW, SHA2_256, SinkError, identity_bytes};
use crate::commp::{ParallelHasher, PieceInfo};

/// A finished CAR.
#[derive(Debug, Clone)]
pub struct Written {
    /// Length of the CAR, in bytes.
    pub car_bytes: u64,
    /// The piece it makes.
    pub piece: PieceInfo,
    /// Number of sections written.
    pub blocks: u64,
    /// Where the blocks lie.
    pub index: Index,
}

/// A CAR being written to an empty file.
#[derive(Debug)]
pub struct Writer<W: Write + Seek> {
    out: BufWriter<W>,
    hasher: ParallelHasher,
    index: IndexBuilder,
    header_bytes: usize,
    car_bytes: u64,
    blocks: u64,
    limit_bytes: u64,
}

/// The bytes before a block's own: the section length and the CID.
#[must_use]
pub fn section_prefix(cid: &Cid, data_len: usize) -> Vec<u8> {
    let cid = cid.to_bytes();
    let mut varint = unsigned_varint::encode::usize_buffer();
    let mut prefix = unsigned_varint::encode::usize(cid.len() + data_len, &mut varint).to_vec();
    prefix.extend_from_slice(&cid);
    prefix
}

impl<W: Write + Seek> Writer<W> {
    /// Starts a CAR whose one root will be a SHA-256 CID of this version, of at most `limit_bytes` in all.
    ///
    /// # Errors
    /// [`SinkError`] when the header cannot be written.
    pub fn new(out: W, root: Version, limit_bytes: u64) -> Result<Self, SinkError> {
        let hash = Multihash::wrap(SHA2_256, &[0; 32]).expect("32 bytes fit a 64-byte multihash");
        let placeholder = match root {
            Version::V0 => Cid::new_v0(hash).expect("a 32-byte SHA-256 is what CIDv0 takes"),
            Version::V1 => Cid::new_v1(RAW, hash),
        };
        Self::with_header(out, &Header::new(vec![placeholder]), limit_bytes)
    }

    /// Starts a CAR with a header that is already right.
    ///
    /// # Errors
    /// [`SinkError`] when the header cannot be written.
    pub fn with_header(out: W, header: &Header, limit_bytes: u64) -> Result<Self, SinkError> {
        let mut writer = Self {
            out: BufWriter::with_capacity(256 << 10, out),
            hasher: ParallelHasher::new(NonZero::<usize>::MIN),
            index: IndexBuilder::default(),
            header_bytes: 0,
            car_bytes: 0,
            blocks: 0,
            limit_bytes,
        };
        let bytes = header.to_file_bytes();
        writer.header_bytes = bytes.len();
        writer.write(&bytes)?;
        Ok(writer)
    }

    /// Lets several threads hash CommP. Only right after the start.
    #[must_use]
    pub fn on_threads(mut self, threads: NonZero<usize>) -> Self {
        self.hasher.set_threads(threads);
        self
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn car_bytes(&self) -> u64 {
        self.car_bytes
    }

    /// Sections written so far.
    #[must_use]
    pub const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Whether the block was written already; identity CIDs need not be.
    ///
    /// # Errors
    /// [`SinkError::Block`] for a hash that is not supported.
    pub fn has(&self, cid: &Cid) -> Result<bool, SinkError> {
        Ok(identity_bytes(cid).is_some() || self.index.contains(cid)?)
    }

    /// Writes a section even if the block is already there.
    ///
    /// # Errors
    /// [`SinkError`] when it cannot be kept.
    pub fn put_again(&mut self, cid: &Cid, data: &[u8]) -> Result<(), SinkError> {
        let prefix = section_prefix(cid, data.len());
        let needed = self.car_bytes + (prefix.len() + data.len()) as u64;
        if needed > self.limit_bytes {
            return Err(SinkError::Full { limit_bytes: self.limit_bytes });
        }
        self.write(&prefix)?;
        self.index.add(cid, self.car_bytes, data.len())?;
        self.write(data)?;
        self.blocks += 1;
        Ok(())
    }

    /// Writes out what is held back and lets the hashing threads go: only the root is still to come.
    ///
    /// # Errors
    /// [`SinkError`] when writing fails.
    pub fn rest(&mut self) -> Result<(), SinkError> {
        self.hasher.rest();
        Ok(self.out.flush()?)
    }

    /// Puts the root into the header and finishes.
    ///
    /// # Errors
    /// [`SinkError`] when writing fails, or the root's CID is not of the length reserved at the start.
    pub fn finish(mut self, root: &Cid) -> Result<(Written, W), SinkError> {
        let header = Header::new(vec![*root]).to_file_bytes();
        if header.len() != self.header_bytes {
            let text = format!("root {root} does not fit the header reserved for it");
            return Err(SinkError::Io(io::Error::new(io::ErrorKind::InvalidInput, text)));
        }
        let invalid = |e| SinkError::Io(io::Error::new(io::ErrorKind::InvalidInput, e));
        self.hasher.rewrite_head(0, &header).map_err(invalid)?;
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header)?;
        self.out.seek(SeekFrom::Start(self.car_bytes))?;
        self.finish_as_is()
    }

    /// Finishes with the header given at the start.
    ///
    /// # Errors
    /// [`SinkError`] when writing fails.
    pub fn finish_as_is(self) -> Result<(Written, W), SinkError> {
        let Self { out, hasher, index, car_bytes, blocks, .. } = self;
        let out = out.into_inner().map_err(|e| SinkError::Io(e.into_error()))?;
        let piece = hasher.finish().map_err(io::Error::other)?;
        Ok((Written { car_bytes, piece, blocks, index: index.build() }, out))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.hasher.update(bytes);
        self.car_bytes += bytes.len() as u64;
        Ok(())
    }
}

impl<W: Write + Seek> BlockSink for Writer<W> {
    /// Identity CIDs carry their own bytes and are not written.
    fn put(&mut self, cid: &Cid, data: &[u8]) -> Result<(), SinkError> {
        if self.has(cid)? {
            return Ok(());
        }
        self.put_again(cid, data)
    }
}
