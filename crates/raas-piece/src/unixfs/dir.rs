//! One directory.

use super::dag_pb::{Link, Node};
use super::data::{Data, Kind};
use super::entry::{Entry, ImportError, put_node};
use super::hamt;
use super::name::check_name;
use super::profile::{Profile, ShardEstimate};
use crate::block::BlockSink;

/// A directory being gathered. Memory: its links.
#[derive(Debug)]
pub struct DirBuilder {
    profile: Profile,
    links: Vec<Link>,
    content_bytes: u64,
}

impl DirBuilder {
    /// An empty directory.
    #[must_use]
    pub const fn new(profile: Profile) -> Self {
        Self { profile, links: Vec::new(), content_bytes: 0 }
    }

    /// Adds an entry; the order of adding does not matter.
    ///
    /// # Errors
    /// [`ImportError::Name`] for a name that cannot stand in a directory.
    pub fn add(&mut self, name: &str, entry: &Entry) -> Result<(), ImportError> {
        check_name(name)?;
        self.links.push(entry.link(name.to_owned()));
        self.content_bytes += entry.content_bytes;
        Ok(())
    }

    /// Writes the directory, sharded if it is large.
    ///
    /// # Errors
    /// [`ImportError`]: a name given twice, or the sink failed.
    pub fn finish(mut self, sink: &mut (impl BlockSink + ?Sized)) -> Result<Entry, ImportError> {
        self.links.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = self.links.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(ImportError::Duplicate(pair[0].name.clone()));
        }
        let content_bytes = self.content_bytes;
        let data = Data::new(Kind::Directory).encode();
        if self.estimate(data.len()) > self.profile.shard_over_bytes {
            let entry = hamt::build(&self.profile, &self.links, sink)?;
            return Ok(Entry { content_bytes, ..entry });
        }
        let below: u64 = self.links.iter().map(|link| link.tsize).sum();
        let node = Node { links: self.links, data: Some(data) };
        let (cid, own) = put_node(&self.profile, &node, sink)?;
        Ok(Entry { cid, dag_bytes: own + below, content_bytes })
    }

    fn estimate(&self, data_len: usize) -> usize {
        match self.profile.shard_estimate {
            // Two bytes are the key and length of the data field.
            ShardEstimate::BlockBytes => {
                self.links.iter().map(Link::encoded_len).sum::<usize>() + data_len + 2
            }
            ShardEstimate::LinkBytes => {
                self.links.iter().map(|link| link.name.len() + link.cid.encoded_len()).sum()
            }
        }
    }
}
