//! `raas kubo import|export|status`: DAGs into a Kubo node and out of it.
//!
//! What is sent was verified here, so that what Kubo refuses is no fault of the bytes; so is what it sends.

use super::args::{Kubo as Args, KuboCommand};
use super::client::Client;
use super::failure::Failure;
use super::get::Target;
use super::output;
use super::pin::parse;
use super::signals::Signals;
use crate::causes::chain;
use crate::config::{Overrides, load};
use crate::node::kubo::client;
use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt};
use raas_clients::kubo::{Kubo, KuboError};
use raas_core::cid::DataCid;
use raas_piece::car::{Copied, Limits, copy_verified};
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::Path;
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Runs one of them. Only an import by CID asks the node.
pub async fn kubo(
    node: impl FnOnce() -> Result<Client, Failure>,
    args: &Args,
    json: bool,
) -> Result<(), Failure> {
    let usage = |error: &(dyn std::error::Error + 'static)| Failure::Usage(chain(error));
    let config = load(args.config.as_deref(), &Overrides::default()).map_err(|error| usage(&error))?;
    let kubo = client(&config.kubo).map_err(|error| usage(&error))?;
    match &args.command {
        KuboCommand::Import { source } => match source.parse::<DataCid>() {
            Ok(cid) => import(&kubo, from_node(&node()?, &cid).await?, json).await,
            Err(_) => import(&kubo, from_file(Path::new(source)).await?, json).await,
        },
        KuboCommand::Export { cid, output, force } => export(&kubo, &parse(cid)?, output, *force, json).await,
        KuboCommand::Status => status(&kubo, json).await,
    }
}

/// A whole DAG in a file without a name.
type Verified = (Copied, File);

async fn from_node(node: &Client, cid: &DataCid) -> Result<Verified, Failure> {
    let response = node.open(&format!("/ipfs/{cid}?format=car")).await?;
    let bar = output::bytes_bar(None, "fetching");
    let counted = bar.clone();
    let chunks = response.bytes_stream().inspect_ok(move |chunk| counted.inc(chunk.len() as u64));
    let reader = SyncIoBridge::new(StreamReader::new(Box::pin(chunks.map_err(io::Error::other))));
    let verified = verified(reader, Some(cid.clone()), "the node's answer".to_owned()).await;
    bar.finish_and_clear();
    verified
}

async fn from_file(path: &Path) -> Result<Verified, Failure> {
    let shown = path.display().to_string();
    let unread = |error| Failure::Usage(format!("{shown}: {error}; a CID or the name of a CAR is needed"));
    let file = File::open(path).map_err(unread)?;
    verified(file, None, shown).await
}

async fn verified(
    source: impl Read + Send + 'static,
    root: Option<DataCid>,
    shown: String,
) -> Result<Verified, Failure> {
    let check = move || -> anyhow::Result<Verified> {
        let wanted = root.as_ref().map(DataCid::cid);
        let (copied, mut file) =
            copy_verified(source, tempfile::tempfile()?, wanted, Limits::default()).context(shown)?;
        file.rewind()?;
        Ok((copied, file))
    };
    Ok(tokio::task::spawn_blocking(check).await??)
}

async fn import(kubo: &Kubo, (copied, file): Verified, json: bool) -> Result<(), Failure> {
    let bar = output::bytes_bar(Some(copied.car_bytes), "importing");
    let counted = bar.clone();
    let chunks =
        ReaderStream::with_capacity(tokio::fs::File::from_std(file), CHUNK_BYTES).inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                counted.inc(chunk.len() as u64);
            }
        });
    let outcome = kubo.import(&copied.root, chunks).await;
    bar.finish_and_clear();
    outcome.map_err(failed)?;
    let Copied { root, blocks, car_bytes, .. } = copied;
    if json {
        output::json(&json!({
            "root": root.to_string(), "pinned": true, "blocks": blocks, "carBytes": car_bytes.to_string(),
        }));
    } else {
        output::data(&format!("{root} is imported and pinned: {blocks} blocks, {car_bytes} bytes of CAR"));
    }
    Ok(())
}

async fn export(kubo: &Kubo, cid: &DataCid, path: &Path, force: bool, json: bool) -> Result<(), Failure> {
    let target = Target::Path { path: path.to_owned(), force };
    target.check().map_err(Failure::Usage)?;
    let staging = target.staging()?.context("a path has a folder")?;
    let staged = staging.path().join("car");
    let file = File::options().read(true).write(true).create_new(true).open(&staged)?;
    let mut signals = Signals::new()?;
    let (copied, _) = tokio::select! {
        exported = kubo.export(cid.cid(), file, Limits::default()) => exported.map_err(failed)?,
        () = signals.next() => return Err(Failure::failed("stopped; nothing was written")),
    };
    target.check().map_err(Failure::Usage)?;
    fs::rename(&staged, path).with_context(|| path.display().to_string())?;
    let Copied { root, blocks, car_bytes, piece, .. } = copied;
    let piece = raas_piece::cid::v2(&piece);
    if json {
        output::json(&json!({
            "root": root.to_string(), "blocks": blocks, "carBytes": car_bytes.to_string(),
            "pieceCidV2": piece.to_string(), "output": path.display().to_string(),
        }));
    } else {
        let shown = path.display();
        output::say(&format!(
            "{blocks} blocks, {car_bytes} bytes of CAR, verified, in {shown} (piece {piece})"
        ));
    }
    Ok(())
}

async fn status(kubo: &Kubo, json: bool) -> Result<(), Failure> {
    let version = kubo.version().await.map_err(failed)?.version;
    let mut pins = 0_u64;
    kubo.pin_ls(|_| pins += 1).await.map_err(failed)?;
    if json {
        output::json(&json!({ "version": version, "recursivePins": pins }));
    } else {
        output::data(&format!("Kubo {version} answers; it pins {pins} DAGs"));
    }
    Ok(())
}

fn failed(error: KuboError) -> Failure {
    match error {
        KuboError::Unreachable { .. } => Failure::Unreachable(chain(&error)),
        KuboError::Config { .. } | KuboError::Unauthorized { .. } => Failure::Usage(chain(&error)),
        error => error.into(),
    }
}
