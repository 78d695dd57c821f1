//! `raas upload`: a file as it is, a directory packed into a CAR here, stdin, or a CAR.

use super::args::Upload;
use super::client::Client;
use super::failure::Failure;
use super::output;
use futures_util::StreamExt;
use raas_piece::pack::{PackOptions, pack_path};
use serde_json::Value;
use std::io::{Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Sends the bytes and prints what became of them.
pub async fn upload(node: &Client, args: &Upload, json: bool) -> Result<(), Failure> {
    let answer = send(node, args).await?;
    if json {
        output::json(&answer);
    } else {
        print(&answer);
    }
    Ok(())
}

/// Sends the bytes; the API's answer.
pub async fn send(node: &Client, args: &Upload) -> Result<Value, Failure> {
    let source = open(args).await?;
    let mut query = Vec::new();
    if let Some(cid) = &args.cid {
        query.push(("cid", cid.clone()));
    }
    if args.no_deal {
        query.push(("deal", "false".to_owned()));
    }
    if source.is_car {
        query.push(("format", "car".to_owned()));
    }
    let bar = output::bytes_bar(source.length, "uploading");
    let counted = bar.clone();
    let chunks = ReaderStream::with_capacity(source.reader, CHUNK_BYTES).inspect(move |chunk| {
        if let Ok(chunk) = chunk {
            counted.inc(chunk.len() as u64);
        }
    });
    let answer = node.upload(&query, reqwest::Body::wrap_stream(chunks)).await;
    bar.finish_and_clear();
    answer
}

fn print(answer: &Value) {
    let text = |name: &str| match &answer[name] {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    };
    let piece = match answer["parts"].as_array() {
        Some(parts) => format!("{} parts, each a piece with deals of its own", parts.len()),
        None => format!("{} ({} bytes padded)", text("pieceCid"), text("pieceSize")),
    };
    output::table(&[
        ["cid".to_owned(), text("cid")],
        ["bytes".to_owned(), text("bytes")],
        ["piece".to_owned(), piece],
        ["job".to_owned(), text("job")],
        ["network".to_owned(), text("network")],
    ]);
    let next = if answer["job"].is_null() { "raas job register" } else { "raas why" };
    output::say(&format!("next: {next} {}", text("cid")));
}

struct Source {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    length: Option<u64>,
    is_car: bool,
}

async fn open(args: &Upload) -> Result<Source, Failure> {
    let path = &args.path;
    if path.as_os_str() == "-" {
        let stdin = std::fs::File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        let reader = tokio::fs::File::from_std(stdin);
        return Ok(Source { reader: Box::new(reader), length: None, is_car: args.car });
    }
    let no_path = |error: std::io::Error| Failure::Usage(format!("{}: {error}", path.display()));
    let metadata = tokio::fs::metadata(path).await.map_err(no_path)?;
    if !metadata.is_dir() {
        let file = tokio::fs::File::open(path).await.map_err(no_path)?;
        let length = metadata.is_file().then_some(metadata.len());
        return Ok(Source { reader: Box::new(file), length, is_car: args.car });
    }
    if args.car {
        return Err(Failure::Usage(format!("--car: {} is a directory, not a CAR", path.display())));
    }
    packed(path).await
}

/// A directory as a CAR in a file that has no name, so that nothing stays behind whatever happens.
async fn packed(path: &Path) -> Result<Source, Failure> {
    let bar = indicatif::ProgressBar::new_spinner().with_message(format!("packing {}", path.display()));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let path = path.to_owned();
    // The node cuts it into pieces.
    let options = PackOptions { max_car_bytes: u64::MAX, ..PackOptions::default() };
    let packing = tokio::task::spawn_blocking(move || -> anyhow::Result<(std::fs::File, u64)> {
        let (packed, mut file) = pack_path(&path, tempfile::tempfile()?, &options)?;
        file.seek(SeekFrom::Start(0))?;
        Ok((file, packed.car_bytes))
    });
    let (file, length) = packing.await??;
    bar.finish_and_clear();
    let reader = Box::new(tokio::fs::File::from_std(file));
    Ok(Source { reader, length: Some(length), is_car: true })
}
