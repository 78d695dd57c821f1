//! Whether CARs hold the whole DAG of a root.
//!
//! Nobody asks for an order here, so a block is noted as soon as it is named: whatever the shape of the DAG, memory is
//! one block, a byte for each block of the parts, and 16 bytes for each that was named and not yet looked into.

use std::io::{self, Read, Seek, SeekFrom};

use ::cid::{Cid, Version};

use super::copy::CopyError;
use super::index::Index;
use super::reader::Limits;
use crate::block::{
    DAG_CBOR, DAG_PB, LinksError, MAX_LINKS, RAW, cid_of_digest, digest_of, links, through_identities, verify,
};

/// Checks that parts hold the whole DAG of a root, with every block that is looked into hashed again. Gives the
/// number of distinct blocks of the DAG.
///
/// # Errors
/// [`CopyError::Missing`] for a block that is in no part.
pub fn check_parts<F: Read + Seek>(parts: &mut [(F, &Index)], root: Cid) -> Result<u64, CopyError> {
    check_within(parts, root, &Limits::default())
}

/// The same within the caller's caps of depth and width.
pub(super) fn check_within<F: Read + Seek>(
    parts: &mut [(F, &Index)],
    root: Cid,
    limits: &Limits,
) -> Result<u64, CopyError> {
    let reached = parts.iter().map(|(_, index)| vec![0; index.len()]).collect();
    let mut named = Named { reached, waiting: Vec::new(), blocks: 0 };
    let max_links = usize::try_from(limits.links).unwrap_or(MAX_LINKS).min(MAX_LINKS);
    for start in through_identities(&root, vec![root], links)? {
        named.add(parts, &start, 0)?;
    }
    let mut data = Vec::new();
    while let Some(Waiting { part, number, depth, codec }) = named.waiting.pop() {
        let Some((file, index)) = parts.get_mut(part as usize) else { continue };
        let Some((digest, location)) = index.at(number as usize) else { continue };
        let cid = cid_of_digest(Version::V1, codec.into(), &digest);
        data.resize(location.len as usize, 0);
        file.seek(SeekFrom::Start(location.offset)).map_err(CopyError::ReadBack)?;
        file.read_exact(&mut data).map_err(CopyError::ReadBack)?;
        verify(&cid, &data)
            .map_err(|e| CopyError::ReadBack(io::Error::new(io::ErrorKind::InvalidData, e)))?;
        let below = through_identities(&cid, links(&cid, &data)?, links)?;
        if below.len() > max_links {
            return Err(LinksError::TooWide { cid: Box::new(cid), limit: max_links }.into());
        }
        if !below.is_empty() && u64::from(depth) >= limits.depth {
            return Err(CopyError::TooDeep { cid: Box::new(cid), limit: limits.depth });
        }
        for link in &below {
            named.add(parts, link, depth + 1)?;
        }
    }
    for (file, _) in parts {
        file.seek(SeekFrom::End(0)).map_err(CopyError::ReadBack)?;
    }
    Ok(named.blocks)
}

/// A block that was named and is still to be looked into.
struct Waiting {
    part: u32,
    number: u32,
    /// Links between the root and this block, on the way it was first named.
    depth: u32,
    codec: u8,
}

/// What was named of the blocks of the parts.
struct Named {
    /// Of each block of each part a bit for each codec it was named under, since the same bytes have other links
    /// under another codec.
    reached: Vec<Vec<u8>>,
    waiting: Vec<Waiting>,
    blocks: u64,
}

impl Named {
    fn add<F>(&mut self, parts: &[(F, &Index)], cid: &Cid, depth: u32) -> Result<(), CopyError> {
        let digest = digest_of(cid).map_err(CopyError::Block)?;
        let place = parts.iter().zip(&mut self.reached).enumerate();
        let found = place.into_iter().find_map(|(part, ((_, index), reached))| {
            let number = index.number(&digest)?;
            Some((part, number, reached.get_mut(number)?))
        });
        let (part, number, reached) = found.ok_or_else(|| CopyError::Missing { cid: Box::new(*cid) })?;
        let bit = match cid.codec() {
            RAW => 1,
            DAG_PB => 2,
            DAG_CBOR => 4,
            codec => return Err(LinksError::UnsupportedCodec { cid: Box::new(*cid), codec }.into()),
        };
        if *reached & bit != 0 {
            return Ok(());
        }
        self.blocks += u64::from(*reached == 0);
        *reached |= bit;
        if cid.codec() != RAW {
            // An index has 2^32 entries at most, parts are fewer than their blocks, and the codecs are three.
            self.waiting.push(Waiting {
                part: part as u32,
                number: number as u32,
                depth,
                codec: cid.codec() as u8,
            });
        }
        Ok(())
    }
}
