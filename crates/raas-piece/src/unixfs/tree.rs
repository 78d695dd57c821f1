//! A directory tree gathered from paths, in any order.

use std::collections::BTreeMap;

use super::dir::DirBuilder;
use super::entry::{Entry, ImportError};
use super::name::{NameError, check_name};
use super::profile::Profile;
use crate::block::BlockSink;

/// Directories nested deeper than this are refused.
pub(crate) const MAX_DIRS_DEEP: usize = 128;

#[derive(Debug)]
enum Item {
    Done(Entry),
    Dir(TreeBuilder),
}

/// Entries by path; directories come into being with their first entry.
#[derive(Debug)]
pub struct TreeBuilder {
    profile: Profile,
    items: BTreeMap<String, Item>,
}

impl TreeBuilder {
    /// An empty tree.
    #[must_use]
    pub const fn new(profile: Profile) -> Self {
        Self { profile, items: BTreeMap::new() }
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds a finished file, symlink or directory at a path like `a/b/c`.
    ///
    /// # Errors
    /// [`ImportError::Name`] for a part that cannot be a name, [`ImportError::Duplicate`] when the path, or a
    /// file on the way, is there already.
    pub fn add(&mut self, path: &str, entry: Entry) -> Result<(), ImportError> {
        let (dir, name) = self.open(path)?;
        match dir.items.insert(name.to_owned(), Item::Done(entry)) {
            None => Ok(()),
            Some(_) => Err(ImportError::Duplicate(path.to_owned())),
        }
    }

    /// Makes sure a directory exists, empty or not.
    ///
    /// # Errors
    /// As [`TreeBuilder::add`], except that a directory that is there is fine.
    pub fn add_dir(&mut self, path: &str) -> Result<(), ImportError> {
        let (dir, name) = self.open(path)?;
        dir.child(name, path).map(drop)
    }

    /// Checks a path without adding anything.
    ///
    /// # Errors
    /// [`ImportError::Name`] for a part that cannot be a name, or too many parts.
    pub fn check_path(path: &str) -> Result<(), ImportError> {
        let too_deep = path.split('/').count() > MAX_DIRS_DEEP;
        if too_deep {
            return Err(ImportError::Name(NameError::too_deep(path)));
        }
        path.split('/').try_for_each(|part| check_name(part).map_err(ImportError::from))
    }

    /// Writes all directories, deepest first, and gives the root.
    ///
    /// # Errors
    /// [`ImportError`] when the sink failed.
    pub fn finish(self, sink: &mut (impl BlockSink + ?Sized)) -> Result<Entry, ImportError> {
        let mut dir = DirBuilder::new(self.profile);
        for (name, item) in self.items {
            // Recursion is bounded by MAX_DIRS_DEEP.
            let entry = match item {
                Item::Done(entry) => entry,
                Item::Dir(tree) => tree.finish(sink)?,
            };
            dir.add(&name, &entry)?;
        }
        dir.finish(sink)
    }

    fn open<'p>(&mut self, path: &'p str) -> Result<(&mut Self, &'p str), ImportError> {
        Self::check_path(path)?;
        let (dirs, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut dir = self;
        for part in dirs.split('/').filter(|part| !part.is_empty()) {
            dir = dir.child(part, path)?;
        }
        Ok((dir, name))
    }

    fn child(&mut self, name: &str, path: &str) -> Result<&mut Self, ImportError> {
        let profile = self.profile;
        let item = self.items.entry(name.to_owned()).or_insert_with(|| Item::Dir(Self::new(profile)));
        match item {
            Item::Dir(dir) => Ok(dir),
            Item::Done(_) => Err(ImportError::Duplicate(path.to_owned())),
        }
    }
}
