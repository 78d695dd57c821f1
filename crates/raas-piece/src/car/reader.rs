//! Reading a CAR from anywhere, checking as it goes, in the memory of one block.
//!
//! Of a CARv2 the CARv1 inside is read, and all offsets are of that one; its own index is not looked at, since
//! it would have to be checked against the blocks anyway.

use std::io::{self, BufReader, Cursor, Read};

use ::cid::Cid;

use super::error::CarError;
use super::header::Header;
use crate::block::{MAX_BLOCK_BYTES, MAX_LINKS, verify};
use crate::varint;

/// A CID in a section is at most this long: version, codec, hash code, length and a 64-byte digest.
const MAX_CID_BYTES: u64 = 96;

/// The header of every CARv2, without its length: `{"version": 2}`.
const V2_PRAGMA: &[u8] = b"\xa1\x67version\x02";
/// What follows it: characteristics, then place and length of the CARv1, then the place of an index.
const V2_HEADER_BYTES: u64 = 40;

/// Caps on what a CAR may claim and contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Header, in bytes.
    pub header_bytes: u64,
    /// One block, in bytes; never more than [`MAX_BLOCK_BYTES`].
    pub block_bytes: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// The whole CAR, in bytes.
    pub total_bytes: u64,
    /// Links on the way from the root down to any block. Looked at where the DAG is ([`super::copy_verified`]).
    pub depth: u64,
    /// Links out of one block, those inside its identity CIDs counted; never more than [`MAX_LINKS`]. As for `depth`.
    pub links: u64,
}

impl Default for Limits {
    /// A header of 64 KiB, blocks of 2 MiB with 64 Ki links, 4 Mi blocks, 64 GiB in all, 256 Ki levels.
    fn default() -> Self {
        Self {
            header_bytes: 64 << 10,
            block_bytes: MAX_BLOCK_BYTES as u64,
            blocks: 4 << 20,
            total_bytes: 64 << 30,
            depth: 256 << 10,
            links: MAX_LINKS as u64,
        }
    }
}

/// One checked block of a CAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// Its CID as written.
    pub cid: Cid,
    /// Its bytes, which match the CID.
    pub data: &'a [u8],
    /// Where the bytes start in the CAR.
    pub offset: u64,
}

/// A CAR being read.
#[derive(Debug)]
pub struct Reader<R> {
    input: BufReader<R>,
    limits: Limits,
    header: Header,
    position: u64,
    end: u64,
    blocks: u64,
    section: Vec<u8>,
    ended: bool,
    /// Bytes left of the CARv1 inside a CARv2.
    left: Option<u64>,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`CarError`]: cut short, over the cap, malformed, neither version 1 nor 2.
    pub fn new(input: R, limits: Limits) -> Result<Self, CarError> {
        let mut reader = Self {
            input: BufReader::with_capacity(64 << 10, input),
            limits,
            header: Header::new(Vec::new()),
            position: 0,
            end: 0,
            blocks: 0,
            section: Vec::new(),
            ended: false,
            left: None,
        };
        let raw = reader.read_header()?;
        let raw = if raw == V2_PRAGMA { reader.enter_v2()? } else { raw };
        reader.header = Header::decode(raw)?;
        reader.end = reader.position;
        Ok(reader)
    }

    /// A header without its length.
    fn read_header(&mut self) -> Result<Vec<u8>, CarError> {
        let bytes = self.varint()?.ok_or(CarError::Truncated { offset: self.position })?;
        let limit = self.limits.header_bytes.min(self.limits.total_bytes);
        if bytes > limit {
            return Err(CarError::HeaderTooLarge { bytes, limit });
        }
        self.fill(bytes)?;
        Ok(std::mem::take(&mut self.section))
    }

    /// Goes to the CARv1 inside, and reads its header.
    fn enter_v2(&mut self) -> Result<Vec<u8>, CarError> {
        self.fill(V2_HEADER_BYTES)?;
        let number = |at: usize| {
            let eight = self.section.get(at..at + 8).and_then(|bytes| bytes.first_chunk());
            eight.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let (data_offset, data_bytes) = (number(16), number(24));
        let skip = data_offset.checked_sub(self.position).filter(|_| data_bytes > 0);
        let skip = skip.ok_or(CarError::V2Header { data_offset, data_bytes })?;
        if skip > self.limits.header_bytes {
            return Err(CarError::HeaderTooLarge { bytes: skip, limit: self.limits.header_bytes });
        }
        if data_bytes > self.limits.total_bytes {
            return Err(CarError::TooLong { limit: self.limits.total_bytes });
        }
        self.fill(skip)?;
        (self.position, self.left) = (0, Some(data_bytes));
        self.read_header()
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Where the last section read (or the header) ends: the length of the CAR once all is read.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// The next block, its hash checked; `None` at the end or at a zero-length section.
    ///
    /// # Errors
    /// [`CarError`]; the reader is then of no further use.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>, CarError> {
        if self.ended {
            return Ok(None);
        }
        let start = self.position;
        let bytes = match self.varint()? {
            None | Some(0) => {
                self.ended = true;
                return Ok(None);
            }
            Some(bytes) => bytes,
        };
        self.check_caps(start, bytes)?;
        self.fill(bytes)?;
        let (cid, cid_bytes) = parse_cid(&self.section, start)?;
        let data = self.section.get(cid_bytes..).unwrap_or_default();
        if data.len() as u64 > self.limits.block_bytes {
            let (bytes, limit) = (data.len() as u64, self.limits.block_bytes);
            return Err(CarError::SectionTooLarge { offset: start, bytes, limit });
        }
        verify(&cid, data).map_err(|source| CarError::Block { offset: start, source })?;
        self.blocks += 1;
        self.end = self.position;
        Ok(Some(Block { cid, data, offset: self.position - data.len() as u64 }))
    }

    fn check_caps(&self, start: u64, bytes: u64) -> Result<(), CarError> {
        let limit = self.limits.block_bytes.min(MAX_BLOCK_BYTES as u64) + MAX_CID_BYTES;
        if bytes > limit {
            return Err(CarError::SectionTooLarge { offset: start, bytes, limit });
        }
        if self.blocks >= self.limits.blocks {
            return Err(CarError::TooManyBlocks { limit: self.limits.blocks });
        }
        if self.position.saturating_add(bytes) > self.limits.total_bytes {
            return Err(CarError::TooLong { limit: self.limits.total_bytes });
        }
        Ok(())
    }

    /// Reads exactly `bytes` (already capped) into the section buffer.
    fn fill(&mut self, bytes: u64) -> Result<(), CarError> {
        let len = usize::try_from(bytes).map_err(|_| CarError::TooLong { limit: self.limits.total_bytes })?;
        self.section.resize(len, 0);
        let offset = self.position;
        self.take_from_v2(bytes)?;
        self.input.read_exact(&mut self.section).map_err(|e| read_error(offset, e))?;
        self.position += bytes;
        Ok(())
    }

    /// Counts bytes of the CARv1 inside a CARv2; it must not reach past its end.
    fn take_from_v2(&mut self, bytes: u64) -> Result<(), CarError> {
        let Some(left) = &mut self.left else { return Ok(()) };
        *left = left.checked_sub(bytes).ok_or(CarError::Truncated { offset: self.position })?;
        Ok(())
    }

    /// A length prefix; `None` when the input ends exactly before it.
    fn varint(&mut self) -> Result<Option<u64>, CarError> {
        let offset = self.position;
        let mut bytes = [0u8; 10];
        if self.left == Some(0) {
            return Ok(None);
        }
        for used in 0..bytes.len() {
            self.take_from_v2(1)?;
            match self.input.read_exact(&mut bytes[used..=used]) {
                Err(e) if used == 0 && e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                other => other.map_err(|e| read_error(self.position, e))?,
            }
            self.position += 1;
            if unsigned_varint::decode::is_last(bytes[used]) {
                break;
            }
        }
        let (value, _) = varint::read(&bytes).ok_or(CarError::Varint { offset })?;
        Ok(Some(value))
    }
}

fn read_error(offset: u64, source: io::Error) -> CarError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => CarError::Truncated { offset },
        _ => CarError::Read { offset, source },
    }
}

fn parse_cid(section: &[u8], offset: u64) -> Result<(Cid, usize), CarError> {
    let mut cursor = Cursor::new(section);
    let cid = Cid::read_bytes(&mut cursor).map_err(|e| CarError::Cid { offset, reason: e.to_string() })?;
    // The position is inside the slice, so it fits.
    let bytes = usize::try_from(cursor.position()).unwrap_or(section.len());
    if cid.encoded_len() != bytes {
        return Err(CarError::Cid { offset, reason: "a number in it has more than 64 bits".to_owned() });
    }
    Ok((cid, bytes))
}
