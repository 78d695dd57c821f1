//! UnixFS: files and directories as DAGs of blocks.
//!
//! Writing follows named profiles, so that a CID can be made again by other software. Reading takes any
//! UnixFS, from any source of blocks, with bounds on depth and number: a DAG is hostile until read.

pub mod dag_pb;
pub mod data;

mod dir;
mod disk;
mod entry;
mod extract;
mod file;
mod hamt;
mod list;
mod murmur3;
mod name;
mod node;
mod pb;
mod profile;
mod read;
mod resolve;
mod span;
mod tree;

pub use dir::DirBuilder;
pub use disk::{DiskError, DiskOptions, import_path};
pub use entry::{Entry, ImportError, symlink};
pub use extract::{ExtractError, ExtractLimits, Extracted, extract, stays_inside};
pub use file::FileBuilder;
pub(crate) use file::read_file;
pub use list::{DirEntry, list};
pub use name::{NameError, check_name};
pub use node::{ReadError, UnixNode, entity_links};
pub use pb::PbError;
pub use profile::{Profile, ProfileError, ShardEstimate};
pub use read::FileReader;
pub use resolve::{Resolved, resolve};
pub use span::{ByteSpan, SpanError};
pub use tree::TreeBuilder;
