//! `raas piece commp`, and reading and writing with a bar.

use super::args::Commp;
use crate::cli::failure::Failure;
use crate::cli::output;
use anyhow::Context;
use indicatif::ProgressBar;
use raas_piece::commp::of_reader_on;
use raas_piece::{PieceInfo, cid};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Seek, SeekFrom, Write};
use std::num::NonZero;
use std::path::Path;

/// One line, or one object, per file.
pub fn commp(args: &Commp, json: bool) -> Result<(), Failure> {
    if args.files.iter().filter(|path| is_dash(path)).count() > 1 {
        return Err(Failure::Usage("FILES: stdin (-) can be read once only".to_owned()));
    }
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

/// Whether stdin or stdout is meant.
pub fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A file or stdin, counted by a bar.
pub fn open(path: &Path, what: &str) -> Result<(Counted<Box<dyn Read>>, ProgressBar), Failure> {
    let (reader, length): (Box<dyn Read>, _) = if is_dash(path) {
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
    Ok((Counted { inner: reader, bar: bar.clone() }, bar))
}

/// Bytes of the files under a path; links are not followed, and what cannot be seen does not count.
pub fn bytes_under(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else { return 0 };
    if !metadata.is_dir() {
        return metadata.len();
    }
    std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| bytes_under(&entry.path())).sum()
}

/// Refuses to write over what is read, or into the directory that is read.
pub fn apart(input: &Path, output: &Path) -> Result<(), Failure> {
    let read =
        input.canonicalize().map_err(|error| Failure::Usage(format!("{}: {error}", input.display())))?;
    // An output that is not there yet is where its folder is.
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = output.canonicalize().or_else(|_| folder.canonicalize());
    if written.is_ok_and(|written| written.starts_with(&read)) {
        let (input, output) = (input.display(), output.display());
        let why = format!("--output: {output} is {input} or lies in it, which is read; write it elsewhere");
        return Err(Failure::Usage(why));
    }
    Ok(())
}

/// Sends bytes to stdout. Who closes the pipe has had enough.
pub fn pour(mut bytes: impl Read) -> Result<(), Failure> {
    match io::copy(&mut bytes, &mut io::stdout().lock()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("could not write to stdout").into())
        }
        _ => Ok(()),
    }
}

/// Refuses to fill somebody's screen.
pub fn no_terminal() -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "--output: - would go to the terminal; name a file, or a pipe".to_owned(),
        ));
    }
    Ok(())
}

/// A reader or writer whose bytes move a bar.
pub struct Counted<T> {
    pub inner: T,
    pub bar: ProgressBar,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bar.inc(count as u64);
        Ok(count)
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.bar.inc(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<S: Seek> Seek for Counted<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
