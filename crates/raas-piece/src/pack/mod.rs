//! From data to a piece in one pass: UnixFS blocks, CAR and CommP together, in flat memory.

mod packer;
mod sources;
mod tar;

pub use packer::{PackError, PackOptions, Packed, Packer};
pub use sources::{pack_car, pack_path, pack_reader, pack_reader_split, pack_split};
pub use tar::{TarError, pack_tar};
