//! Packing what is at hand: a path, a reader, or a CAR.

use std::io::{self, Read, Seek, Write};
use std::path::Path;

use ::cid::Cid;

use super::packer::{PackError, PackOptions, Packed, seal};
use crate::car::{Limits, SplitWriter, Writer, Written, copy_verified};
use crate::unixfs::{Entry, import_path, read_file};

/// Packs a file or directory from disk into an empty file.
///
/// # Errors
/// [`PackError`]; the output then holds an unusable part.
pub fn pack_path<W: Write + Seek>(
    path: &Path,
    out: W,
    options: &PackOptions,
) -> Result<(Packed, W), PackError> {
    let mut car =
        Writer::new(out, options.profile.version, options.max_car_bytes)?.on_threads(options.threads);
    let entry = import_path(path, &options.profile, options.disk, &mut car)?;
    seal(car, &entry)
}

/// Packs a file or directory into as many linked CARs as the limit asks for; `next_file` makes the empty file of
/// each. Gives the root, the bytes of the files, and the parts in order.
///
/// # Errors
/// [`PackError`]; the outputs then hold unusable parts.
pub fn pack_split<W: Write + Seek>(
    path: &Path,
    next_file: impl FnMut(usize) -> io::Result<W>,
    options: &PackOptions,
) -> Result<(Entry, Vec<(Written, W)>), PackError> {
    let version = options.profile.version;
    let mut cars = SplitWriter::new(Box::new(next_file), version, options.max_car_bytes, options.threads)?;
    let entry = import_path(path, &options.profile, options.disk, &mut cars)?;
    Ok((entry, cars.finish(&entry.cid)?))
}

/// Packs one file from a reader into an empty file.
///
/// # Errors
/// [`PackError`]; the output then holds an unusable part.
pub fn pack_reader<W: Write + Seek>(
    reader: impl Read,
    out: W,
    options: &PackOptions,
) -> Result<(Packed, W), PackError> {
    let mut car =
        Writer::new(out, options.profile.version, options.max_car_bytes)?.on_threads(options.threads);
    let read_error = |bytes, source| PackError::Read { bytes, source };
    let entry = read_file(reader, &options.profile, &mut car, read_error)?;
    seal(car, &entry)
}

/// The same of one file from a reader.
///
/// # Errors
/// [`PackError`]; the outputs then hold unusable parts.
pub fn pack_reader_split<W: Write + Seek>(
    reader: impl Read,
    next_file: impl FnMut(usize) -> io::Result<W>,
    options: &PackOptions,
) -> Result<(Entry, Vec<(Written, W)>), PackError> {
    let version = options.profile.version;
    let mut cars = SplitWriter::new(Box::new(next_file), version, options.max_car_bytes, options.threads)?;
    let read_error = |bytes, source| PackError::Read { bytes, source };
    let entry = read_file(reader, &options.profile, &mut cars, read_error)?;
    Ok((entry, cars.finish(&entry.cid)?))
}

/// Packs a CAR as it is (of a CARv2 the CARv1 inside), after checking every block and that the DAG under its root is complete.
///
/// # Errors
/// [`PackError::Car`]; the output then holds an unusable part.
pub fn pack_car<W: Read + Write + Seek>(
    reader: impl Read,
    out: W,
    expected: Option<&Cid>,
    limits: Limits,
) -> Result<(Packed, W), PackError> {
    let (copied, out) = copy_verified(reader, out, expected, limits)?;
    let packed = Packed {
        root: copied.root,
        car_bytes: copied.car_bytes,
        piece: copied.piece,
        payload_bytes: copied.block_bytes,
        blocks: copied.blocks,
        index: copied.index,
    };
    Ok((packed, out))
}
