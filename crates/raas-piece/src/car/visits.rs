//! Depth-first visits of a DAG that come to a block as often as it is linked, or only to those blocks that hold some
//! bytes of a file.
//!
//! [`crate::block::Walk`] comes to each block once and never asks which bytes it holds; here a block can be met again
//! for other bytes of the file, so what was gone through whole is noted apart from what was sent.

use std::collections::HashSet;

use ::cid::Cid;

use super::export::{ExportError, Scope};
use crate::block::{Blocks, digest_of, fetch, identity_bytes, links};
use crate::unixfs::{ByteSpan, ReadError, UnixNode, entity_links};

/// Links that may wait for their turn: 30 MiB of them.
const WAITING_MAX: usize = 1 << 18;

/// A block to visit.
#[derive(Debug)]
struct Visit {
    cid: Cid,
    /// Where the file's bytes of this part begin, and how many they are. `None`: no range is wanted of it.
    part: Option<(u64, u64)>,
}

type Key = ([u8; 32], u64);

/// The state: what is still to visit, deepest last, and what was.
#[derive(Debug)]
pub(super) struct Visits {
    scope: Scope,
    duplicates: bool,
    at_root: bool,
    /// First and last byte wanted of the file.
    range: Option<(u64, u64)>,
    stack: Vec<Visit>,
    gone_through: HashSet<Key>,
    sent: HashSet<Key>,
}

impl Visits {
    pub(super) fn new(root: Cid, scope: Scope, duplicates: bool) -> Self {
        Self {
            scope,
            duplicates,
            at_root: true,
            range: None,
            stack: vec![Visit { cid: root, part: None }],
            gone_through: HashSet::new(),
            sent: HashSet::new(),
        }
    }

    /// The next block that belongs into the export.
    pub(super) fn next<B: Blocks>(&mut self, blocks: &B) -> Result<Option<(Cid, Vec<u8>)>, ExportError> {
        while let Some(visit) = self.stack.pop() {
            let key = match identity_bytes(&visit.cid) {
                Some(_) => None,
                None => Some((digest_of(&visit.cid)?, visit.cid.codec())),
            };
            if let Some(key) = key
                && !self.duplicates
                && self.is_whole(&visit)
                && !self.gone_through.insert(key)
            {
                continue;
            }
            let data = fetch(blocks, &visit.cid)?;
            self.go_on(&visit, &data)?;
            match key {
                Some(key) if self.duplicates || self.sent.insert(key) => return Ok(Some((visit.cid, data))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Whether everything below is wanted. Of the root it is not known before it is read.
    fn is_whole(&self, visit: &Visit) -> bool {
        match (visit.part, self.range) {
            (Some((start, bytes)), Some((first, last))) => first <= start && start + bytes - 1 <= last,
            _ => !self.at_root,
        }
    }

    /// Puts on the way what is wanted below a block.
    fn go_on(&mut self, visit: &Visit, data: &[u8]) -> Result<(), ExportError> {
        let at_root = std::mem::replace(&mut self.at_root, false);
        match (self.scope, visit.part) {
            (Scope::Block, _) => Ok(()),
            (Scope::All, _) => self.push(links(&visit.cid, data)?),
            (Scope::Bytes(span), None) if at_root => self.enter_file(visit, data, span),
            (Scope::Bytes(_), Some((start, bytes))) => self.push_parts(&visit.cid, data, start, Some(bytes)),
            (Scope::Entity | Scope::Bytes(_), _) => self.push(entity_links(&visit.cid, data)?),
        }
    }

    /// What is no file has no bytes to choose from, and goes whole.
    fn enter_file(&mut self, visit: &Visit, data: &[u8], span: ByteSpan) -> Result<(), ExportError> {
        let file_bytes = match UnixNode::decode(&visit.cid, data.to_vec()) {
            Ok(UnixNode::File { file_bytes, .. }) => file_bytes,
            Ok(UnixNode::Bytes(_)) => return Ok(()),
            Ok(_) | Err(_) => {
                self.scope = Scope::Entity;
                return self.push(entity_links(&visit.cid, data)?);
            }
        };
        self.range = span.within(file_bytes);
        if self.range.is_some() { self.push_parts(&visit.cid, data, 0, None) } else { Ok(()) }
    }

    /// The parts of a file's node that hold wanted bytes. `claimed` is what its parent says it holds.
    fn push_parts(
        &mut self,
        cid: &Cid,
        data: &[u8],
        start: u64,
        claimed: Option<u64>,
    ) -> Result<(), ExportError> {
        let inconsistent = |what| ReadError::Inconsistent { cid: Box::new(*cid), what };
        let (inline, parts, file_bytes) = match UnixNode::decode(cid, data.to_vec())? {
            UnixNode::Bytes(bytes) => (bytes.len() as u64, Vec::new(), bytes.len() as u64),
            UnixNode::File { inline, parts, file_bytes } => (inline.len() as u64, parts, file_bytes),
            _ => return Err(inconsistent("it is part of a file but no file itself").into()),
        };
        if claimed.is_some_and(|claimed| claimed != file_bytes) {
            return Err(inconsistent("it does not hold the bytes its parent says").into());
        }
        let Some((first, last)) = self.range else { return Ok(()) };
        let mut at = start + inline;
        let mut wanted = Vec::new();
        for (cid, bytes) in parts {
            // The sizes add up to the file's, which is checked, so no sum here overflows.
            if bytes > 0 && at <= last && at + bytes > first {
                wanted.push(Visit { cid, part: Some((at, bytes)) });
            }
            at += bytes;
        }
        self.wait(wanted)
    }

    fn push(&mut self, links: Vec<Cid>) -> Result<(), ExportError> {
        self.wait(links.into_iter().map(|cid| Visit { cid, part: None }).collect())
    }

    fn wait(&mut self, visits: Vec<Visit>) -> Result<(), ExportError> {
        if self.stack.len() + visits.len() > WAITING_MAX {
            return Err(ExportError::TooWide { limit: WAITING_MAX });
        }
        self.stack.extend(visits.into_iter().rev());
        Ok(())
    }
}
