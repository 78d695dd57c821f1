//! From data to a piece in one pass: UnixFS blocks, CAR and CommP together, in flat memory.

mod packer;
mod sources;

pub use packer::{PackError, PackOptions, Packed, Packer};
pub use sources::{pack_car, pack_path, pack_reader};
