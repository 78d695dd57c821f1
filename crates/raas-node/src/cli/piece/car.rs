//! `raas piece car` and `raas piece ls`.

use super::args::{Car, Ls};
use super::bytes::{Counted, apart, bytes_under, described, is_dash, no_terminal, open, pour, threads};
use crate::cli::failure::Failure;
use crate::cli::output;
use indicatif::ProgressBar;
use raas_piece::PaddedSize;
use raas_piece::car::{Limits, Reader};
use raas_piece::commp::PieceInfo;
use raas_piece::pack::{PackOptions, pack_path, pack_reader, pack_split, pack_tar};
use raas_piece::unixfs::{DiskOptions, Profile};
use serde_json::json;
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// One finished CAR.
struct Part {
    file: Option<PathBuf>,
    car_bytes: u64,
    blocks: u64,
    piece: PieceInfo,
}

/// Packs, and prints root and pieces.
pub fn car(args: &Car, json: bool) -> Result<(), Failure> {
    let options = options(args)?;
    let (stdin, to_stdout) = (is_dash(&args.path), is_dash(&args.output));
    if args.split && (to_stdout || stdin || args.tar) {
        return Err(Failure::Usage("--split takes a file or directory, and a file as --output".to_owned()));
    }
    if to_stdout {
        no_terminal()?;
    } else if !stdin {
        apart(&args.path, &args.output)?;
    }
    let (root, payload_bytes, parts) = if args.split {
        split(args, &options)?
    } else {
        let target = if to_stdout { tempfile::tempfile()? } else { create(&args.output, args.force)? };
        let (packed, bar) = if args.tar || stdin {
            let (reader, bar) = open(&args.path, "packing")?;
            let target = Counted { inner: target, bar: ProgressBar::hidden() };
            let packed = if args.tar {
                pack_tar(reader, target, &options)
            } else {
                pack_reader(reader, target, &options)
            };
            (packed, bar)
        } else {
            let bar = bar_over(&args.path);
            (pack_path(&args.path, Counted { inner: target, bar: bar.clone() }, &options), bar)
        };
        bar.finish_and_clear();
        let (packed, Counted { inner: mut file, .. }) = packed.inspect_err(|_| {
            if !to_stdout {
                remove(&args.output);
            }
        })?;
        if to_stdout {
            // The root at its start is known only at its end, so a CAR cannot go to a pipe as it is made.
            file.seek(SeekFrom::Start(0))?;
            pour(file)?;
        }
        let file = (!to_stdout).then(|| args.output.clone());
        let part = Part { file, car_bytes: packed.car_bytes, blocks: packed.blocks, piece: packed.piece };
        (packed.root, packed.payload_bytes, vec![part])
    };
    print(&root, payload_bytes, &parts, to_stdout, json);
    Ok(())
}

/// On stdout, or beside a CAR that took it on stderr.
fn print(root: &cid::Cid, payload_bytes: u64, parts: &[Part], aside: bool, json: bool) {
    let line = if aside { output::say } else { output::data };
    if json {
        let parts: Vec<_> = parts
            .iter()
            .map(|part| {
                let mut object = described(&part.piece);
                object["carBytes"] = part.car_bytes.to_string().into();
                object["blocks"] = part.blocks.into();
                object["file"] = part.file.as_ref().map(|path| path.display().to_string()).into();
                object
            })
            .collect();
        let whole =
            json!({ "root": root.to_string(), "contentBytes": payload_bytes.to_string(), "cars": parts });
        return line(&whole.to_string());
    }
    line(&format!("root   {root}"));
    line(&format!("bytes  {payload_bytes}"));
    for part in parts {
        let name = part.file.as_ref().map(|path| format!("  {}", path.display())).unwrap_or_default();
        let (piece, padded) = (raas_piece::cid::v2(&part.piece), part.piece.padded());
        line(&format!("piece  {piece}  {padded}  {} bytes of CAR{name}", part.car_bytes));
    }
}

fn options(args: &Car) -> Result<PackOptions, Failure> {
    let profile = Profile::by_name(&args.profile).ok_or_else(|| {
        let names: Vec<_> = Profile::ALL.iter().map(Profile::name).collect();
        Failure::Usage(format!("--profile: no profile {:?}; there are {}", args.profile, names.join(", ")))
    })?;
    let limit = PaddedSize::new(args.piece_limit)
        .map_err(|error| Failure::Usage(format!("--piece-limit: {error}")))?;
    let (disk, threads) = (DiskOptions { hidden: args.hidden }, threads(args.threads));
    Ok(PackOptions { profile, max_car_bytes: limit.capacity(), disk, threads })
}

fn split(args: &Car, options: &PackOptions) -> Result<(cid::Cid, u64, Vec<Part>), Failure> {
    let name = |number: usize| {
        let mut name = args.output.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let next =
        |number| create(&name(number), args.force).map_err(|failure| io::Error::other(failure.explain().1));
    let made = Cell::new(0);
    let bar = bar_over(&args.path);
    let next = |number| {
        let inner = next(number).inspect(|_| made.set(number + 1))?;
        Ok(Counted { inner, bar: bar.clone() })
    };
    let packed = pack_split(&args.path, next, options);
    bar.finish_and_clear();
    let (entry, cars) = packed.inspect_err(|_| (0..made.get()).for_each(|number| remove(&name(number))))?;
    let parts = cars.into_iter().enumerate().map(|(number, (written, _))| Part {
        file: Some(name(number)),
        car_bytes: written.car_bytes,
        blocks: written.blocks,
        piece: written.piece,
    });
    Ok((entry.cid, entry.content_bytes, parts.collect()))
}

/// A bar over what is written of a path, which is a little more than what is read.
fn bar_over(path: &Path) -> ProgressBar {
    // Nobody else looks at it.
    let total = io::stderr().is_terminal().then(|| bytes_under(path));
    output::bytes_bar(total, "packing")
}

/// Half a file would pass for a whole one.
pub fn remove(path: &Path) {
    // That it could not be made is told; that its rest could not be removed is seen.
    let _ = std::fs::remove_file(path);
}

/// An empty file.
pub fn create(path: &Path, force: bool) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let file = if force { options.create(true).truncate(true) } else { options.create_new(true) }.open(path);
    file.map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::AlreadyExists { "; --force writes over it" } else { "" };
        Failure::Usage(format!("{}: {error}{hint}", path.display()))
    })
}

/// Reads a CAR to its end, every hash checked.
pub fn ls(args: &Ls, json: bool) -> Result<(), Failure> {
    let (reader, bar) = open(&args.file, "checking")?;
    let mut reader = Reader::new(reader, Limits::default())?;
    let roots: Vec<String> = reader.header().roots.iter().map(ToString::to_string).collect();
    let (mut blocks, mut block_bytes) = (0u64, 0u64);
    while let Some(block) = reader.next_block()? {
        blocks += 1;
        block_bytes += block.data.len() as u64;
        if args.summary {
            continue;
        }
        let (cid, bytes, offset) = (block.cid, block.data.len(), block.offset);
        if json {
            output::json_line(
                &json!({ "cid": cid.to_string(), "offset": offset.to_string(), "bytes": bytes }),
            );
        } else {
            output::data(&format!("{offset:>12}  {bytes:>8}  {cid}"));
        }
    }
    bar.finish_and_clear();
    let car_bytes = reader.end();
    if json {
        output::json_line(&json!({
            "roots": roots, "blocks": blocks, "blockBytes": block_bytes.to_string(),
            "carBytes": car_bytes.to_string(),
        }));
    } else {
        roots.iter().for_each(|root| output::data(&format!("root   {root}")));
        output::data(&format!(
            "total  {blocks} blocks, {block_bytes} bytes of blocks, {car_bytes} bytes of CAR"
        ));
    }
    Ok(())
}
