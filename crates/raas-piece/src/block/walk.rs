//! Depth-first order over a DAG, each block once.

use std::collections::HashSet;

use ::cid::{Cid, Version};

use super::check::{BlockError, cid_of_digest, digest_of, identity_bytes};
use super::links::{LinksError, links, through_identities};

/// From how many waiting links on those that wait more than once are looked for.
const TIDY_FROM: usize = 1 << 16;
/// How many different links may wait: as many as four of the widest blocks on one path have. With those that wait
/// twice they never take more than 28 MiB.
const WAITING_MAX: usize = 1 << 18;

/// A DAG that cannot be walked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalkError {
    #[error(transparent)]
    Block(#[from] BlockError),
    #[error(transparent)]
    Links(#[from] LinksError),
    #[error("more than {limit} different links wait while a path of the DAG is followed")]
    TooWide { limit: usize },
}

/// The state of a walk: what is still to visit (deepest last) and what was seen.
///
/// A block is known by digest and codec, since the same bytes have other links under another codec. What stands
/// inside identity CIDs is walked through where they stand; such a CID comes out of [`Walk::next`] only as the root.
#[derive(Debug)]
pub(crate) struct Walk {
    root: Option<Cid>,
    stack: Vec<(Key, Version)>,
    seen: HashSet<Key>,
    tidy_at: usize,
}

type Key = ([u8; 32], u64);

impl Walk {
    pub(crate) fn new(root: Cid) -> Self {
        Self { root: Some(root), stack: Vec::new(), seen: HashSet::new(), tidy_at: TIDY_FROM }
    }

    /// The next block to visit, never twice the same.
    pub(crate) fn next(&mut self) -> Result<Option<Cid>, BlockError> {
        if let Some(root) = self.root.take() {
            if identity_bytes(&root).is_none() {
                self.seen.insert(key(&root)?);
            }
            return Ok(Some(root));
        }
        while let Some((key, version)) = self.stack.pop() {
            if self.seen.insert(key) {
                return Ok(Some(cid_of_digest(version, key.1, &key.0)));
            }
        }
        Ok(None)
    }

    /// Puts a block's links on the way, first link first.
    pub(crate) fn expand(&mut self, cid: &Cid, data: &[u8]) -> Result<(), WalkError> {
        self.expand_by(cid, data, |cid, data| links(cid, data).map_err(WalkError::from))
    }

    /// The same for those of its links that `links_of` tells.
    pub(crate) fn expand_by<E: From<LinksError> + From<WalkError>>(
        &mut self,
        cid: &Cid,
        data: &[u8],
        links_of: impl Fn(&Cid, &[u8]) -> Result<Vec<Cid>, E>,
    ) -> Result<(), E> {
        let links = through_identities(cid, links_of(cid, data)?, links_of)?;
        for link in links.iter().rev() {
            let key = key(link).map_err(WalkError::from)?;
            if !self.seen.contains(&key) {
                self.stack.push((key, link.version()));
            }
        }
        if self.stack.len() >= self.tidy_at {
            self.tidy()?;
        }
        Ok(())
    }

    /// Of a link that waits more than once only the last one is ever followed.
    fn tidy(&mut self) -> Result<(), WalkError> {
        let mut kept = HashSet::new();
        self.stack.reverse();
        self.stack.retain(|(key, _)| !self.seen.contains(key) && kept.insert(*key));
        self.stack.reverse();
        self.tidy_at = (self.stack.len() * 2).max(TIDY_FROM);
        if self.stack.len() > WAITING_MAX { Err(WalkError::TooWide { limit: WAITING_MAX }) } else { Ok(()) }
    }
}

fn key(cid: &Cid) -> Result<Key, BlockError> {
    Ok((digest_of(cid)?, cid.codec()))
}
