//! A CAR of a DAG in depth-first order, made while it is read; each block once, or as often as it is linked.

use std::io::{self, Write};

use ::cid::Cid;

use super::header::Header;
use super::visits::Visits;
use super::writer::section_prefix;
use crate::block::{BlockError, Blocks, LinksError, Walk, WalkError, fetch, identity_bytes};
use crate::unixfs::{self, ByteSpan, ReadError};

/// How much of the DAG under the root goes in (`dag-scope` of the trustless gateway).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The root block alone.
    Block,
    /// A whole file; of a directory what is needed to list it, sharded or not.
    Entity,
    /// Of a file the blocks without which these bytes of it cannot be checked, its root alone when it has none of them;
    /// of anything else the whole entity (`entity-bytes`).
    Bytes(ByteSpan),
    /// Everything.
    All,
}

/// A DAG that could not be exported whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A block could not be had.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A block cannot be looked into.
    #[error(transparent)]
    Links(#[from] LinksError),
    /// The root is no UnixFS entity.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Blocks with very many links below one another.
    #[error(
        "the DAG is too wide to be sent: on one path more than {limit} different links wait for their turn"
    )]
    TooWide {
        /// The cap.
        limit: usize,
    },
}

impl From<WalkError> for ExportError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Block(error) => Self::Block(error),
            WalkError::Links(error) => Self::Links(error),
            WalkError::TooWide { limit } => Self::TooWide { limit },
        }
    }
}

/// The export as chunks of bytes: the header, then one chunk per section. Memory: one block, the hashes of the blocks
/// sent, and 48 bytes for each link that waits for its turn.
#[derive(Debug)]
pub struct CarExport<B> {
    blocks: B,
    header: Option<Header>,
    via: std::vec::IntoIter<Cid>,
    root: Cid,
    walk: Walk,
    /// In place of the walk where a block can be met more than once.
    visits: Option<Visits>,
    scope: Scope,
}

impl<B: Blocks> CarExport<B> {
    /// An export of `root`. `via` are the blocks a path was resolved through (sent first, so that a client
    /// can check the path); the header names the first of them, else the root.
    pub fn new(blocks: B, root: Cid, via: Vec<Cid>, scope: Scope) -> Self {
        let named = via.first().copied().unwrap_or(root);
        Self {
            blocks,
            header: Some(Header::new(vec![named])),
            via: via.into_iter(),
            root,
            walk: Walk::new(root),
            visits: matches!(scope, Scope::Bytes(_)).then(|| Visits::new(root, scope, false)),
            scope,
        }
    }

    /// With every block as often as it is linked, for clients that keep none (`dups=y`). Only right at the start.
    #[must_use]
    pub fn with_duplicates(mut self) -> Self {
        self.visits = Some(Visits::new(self.root, self.scope, true));
        self
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`ExportError`]; what was sent before is then an incomplete CAR and must be marked so.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, ExportError> {
        if let Some(header) = self.header.take() {
            return Ok(Some(header.to_file_bytes()));
        }
        // Blocks on the way are ancestors of the root, so no walk from the root meets them again.
        for cid in self.via.by_ref() {
            if identity_bytes(&cid).is_none() {
                return Ok(Some(section(&cid, &fetch(&self.blocks, &cid)?)));
            }
        }
        if let Some(visits) = &mut self.visits {
            let next = visits.next(&self.blocks)?;
            return Ok(next.map(|(cid, data)| section(&cid, &data)));
        }
        while let Some(cid) = self.walk.next()? {
            let data = fetch(&self.blocks, &cid)?;
            match self.scope {
                Scope::Block | Scope::Bytes(_) => {}
                Scope::All => self.walk.expand(&cid, &data)?,
                Scope::Entity => self.walk.expand_by(&cid, &data, |cid, data| {
                    unixfs::entity_links(cid, data).map_err(ExportError::from)
                })?,
            }
            if identity_bytes(&cid).is_none() {
                return Ok(Some(section(&cid, &data)));
            }
        }
        Ok(None)
    }

    /// Writes the whole export.
    ///
    /// # Errors
    /// The writer's error, or an [`ExportError`] as its source.
    pub fn write_to(mut self, mut out: impl Write) -> io::Result<()> {
        while let Some(chunk) = self.next_chunk().map_err(io::Error::other)? {
            out.write_all(&chunk)?;
        }
        Ok(())
    }
}

impl<B: Blocks> Iterator for CarExport<B> {
    type Item = Result<Vec<u8>, ExportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_chunk().transpose()
    }
}

fn section(cid: &Cid, data: &[u8]) -> Vec<u8> {
    let mut out = section_prefix(cid, data.len());
    out.extend_from_slice(data);
    out
}
