//! `raas piece commp`, and reading with a bar.

use super::args::Commp;
use crate::cli::failure::Failure;
use crate::cli::output;
use anyhow::Context;
use indicatif::ProgressBar;
use raas_piece::commp::of_reader_on;
use raas_piece::{PieceInfo, cid};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::Path;

/// One line, or one object, per file.
pub fn commp(args: &Commp, json: bool) -> Result<(), Failure> {
    for path in &args.files {
        let (reader, bar) = open(path, "hashing")?;
        let info = of_reader_on(reader, threads(args.threads))
            .with_context(|| format!("could not read {}", path.display()))?;
        bar.finish_and_clear();
        if json {
            let mut object = described(&info);
            object["file"] = path.display().to_string().into();
            output::json_line(&object);
        } else {
            let [v2, v1] = [cid::v2(&info), cid::v1(info.commitment())];
            output::data(&format!("{v2}  {v1}  {}  {}", info.padded(), path.display()));
        }
    }
    Ok(())
}

/// What a piece is, for programs. Sizes are strings, so that JavaScript keeps them.
pub fn described(info: &PieceInfo) -> Value {
    json!({
        "pieceCidV2": cid::v2(info).to_string(),
        "pieceCidV1": cid::v1(info.commitment()).to_string(),
        "commitment": info.commitment().to_string(),
        "paddedBytes": info.padded().to_string(),
        "payloadBytes": info.payload_bytes().to_string(),
    })
}

/// As many as were asked for, else one per core.
pub fn threads(asked: Option<NonZero<usize>>) -> NonZero<usize> {
    asked.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN)
}

/// A file or stdin, counted by a bar.
pub fn open(path: &Path, what: &str) -> Result<(Counted, ProgressBar), Failure> {
    let (reader, length): (Box<dyn Read>, _) = if path.as_os_str() == "-" {
        (Box::new(io::stdin().lock()), None)
    } else {
        let no_path = |error: io::Error| Failure::Usage(format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(no_path)?;
        let metadata = file.metadata().map_err(no_path)?;
        if metadata.is_dir() {
            return Err(Failure::Usage(format!(
                "{} is a directory; pack it with raas piece car",
                path.display()
            )));
        }
        (Box::new(file), metadata.is_file().then_some(metadata.len()))
    };
    let bar = output::bytes_bar(length, what);
    Ok((Counted { reader, bar: bar.clone() }, bar))
}

/// A reader whose bytes move a bar.
pub struct Counted {
    reader: Box<dyn Read>,
    bar: ProgressBar,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.bar.inc(count as u64);
        Ok(count)
    }
}
