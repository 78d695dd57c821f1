//! Depth-first order over a DAG, each block once.

use std::collections::HashSet;

use ::cid::Cid;

use super::check::{BlockError, digest_of, identity_bytes};
use super::links::{LinksError, links};

/// The state of a walk: what is still to visit (deepest last) and what was seen.
///
/// A block is known by digest and codec, since the same bytes have other links under another codec.
#[derive(Debug)]
pub(crate) struct Walk {
    stack: Vec<Cid>,
    seen: HashSet<([u8; 32], u64)>,
}

impl Walk {
    pub(crate) fn new(root: Cid) -> Self {
        Self { stack: vec![root], seen: HashSet::new() }
    }

    /// The next block to visit, never twice the same. Identity CIDs come every time.
    pub(crate) fn next(&mut self) -> Result<Option<Cid>, BlockError> {
        while let Some(cid) = self.stack.pop() {
            if identity_bytes(&cid).is_some() || self.seen.insert((digest_of(&cid)?, cid.codec())) {
                return Ok(Some(cid));
            }
        }
        Ok(None)
    }

    /// Puts a block's links on the way, first link first.
    pub(crate) fn expand(&mut self, cid: &Cid, data: &[u8]) -> Result<(), LinksError> {
        self.push_links(links(cid, data)?);
        Ok(())
    }

    pub(crate) fn push_links(&mut self, links: Vec<Cid>) {
        let seen = &self.seen;
        let new = |cid: &Cid| digest_of(cid).map_or(true, |digest| !seen.contains(&(digest, cid.codec())));
        self.stack.extend(links.into_iter().rev().filter(new));
    }

    /// How many distinct blocks were visited.
    pub(crate) fn visited(&self) -> u64 {
        self.seen.len() as u64
    }
}
