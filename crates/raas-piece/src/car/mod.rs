//! CARs: a header that names roots, then blocks one after the other.
//!
//! Reading takes CARv1, and the CARv1 inside a CARv2; written are CARv1.
//!
//! Reading: every length is capped before memory is taken, every block hash is checked, a zero-length
//! section ends the file (a piece is a CAR followed by zeros), anything cut short is an error. Writing:
//! a streaming writer that hashes CommP in the same pass, and a depth-first exporter from any source.

mod closure;
mod copy;
mod error;
mod export;
mod filter;
mod header;
mod index;
mod index_file;
mod reader;
mod set;
mod split;
mod store;
mod visits;
mod writer;

pub use closure::check_parts;
pub use copy::{Copied, CopiedParts, CopyError, copy_part, copy_split, copy_verified};
pub use error::{CarError, Fault};
pub use export::{CarExport, ExportError, Scope};
pub use filter::Filter;
pub use header::Header;
pub use index::{Index, IndexBuilder, IndexError, Location};
pub use index_file::{IndexFile, IndexFileError, Seal, sealed};
pub use reader::{Block, Limits, Reader};
pub use set::BlockSet;
pub use split::{NextFile, SplitWriter};
pub use store::{CarStore, ReadAt};
pub use writer::{Writer, Written, section_prefix};
