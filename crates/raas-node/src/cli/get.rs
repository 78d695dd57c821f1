//! `raas get`: the bytes of a CID back. Nothing the node sends is believed: every block is hashed here, and the
//! way from the root to the wanted entry is followed here.

use super::args::Get;
use super::client::Client;
use super::failure::Failure;
use super::output;
use super::signals::Signals;
use anyhow::Context;
use futures_util::TryStreamExt;
use indicatif::ProgressBar;
use raas_core::cid::DataCid;
use raas_piece::car::{CarStore, Limits, Reader, Writer};
use raas_piece::unixfs::{ExtractLimits, FileReader, extract, resolve};
use reqwest::Method;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio_util::io::{StreamReader, SyncIoBridge};

/// Fetches, verifies, writes, and says so.
pub async fn get(node: &Client, args: &Get, json: bool) -> Result<(), Failure> {
    let wanted = Wanted::parse(&args.cid)?;
    let target = Target::choose(args, &wanted)?;
    let shown = target.shown();
    let fetched = match fetch(node, &wanted, target.clone()).await {
        Err(failure) if may_be_damaged(&failure) && examined(node, &wanted).await => {
            output::say("what the node has of it was damaged, or is by now; it is asked once more");
            fetch(node, &wanted, target).await?
        }
        fetched => fetched?,
    };
    if json {
        output::json(&serde_json::json!({
            "network": fetched.network,
            "cid": wanted.cid,
            "path": wanted.path,
            "output": shown,
            "bytes": fetched.bytes,
            "source": fetched.source,
        }));
    } else {
        let Fetched { bytes, network, source } = fetched;
        output::say(&format!("{bytes} bytes, verified, in {shown} (source {source}, network {network})"));
    }
    Ok(())
}

/// Bytes that are not what they should be, or an answer that broke off.
fn may_be_damaged(failure: &Failure) -> bool {
    match failure {
        Failure::Failed(error) => error.downcast_ref::<NodesAnswer>().is_some(),
        Failure::Unreachable(_) => true,
        Failure::Usage(_) => false,
    }
}

/// Whether the node has looked through its own copy: what is damaged it puts aside, and asks the providers.
async fn examined(node: &Client, wanted: &Wanted) -> bool {
    node.call(Method::POST, &format!("/v1/store/verify/{}", wanted.cid), None).await.is_ok()
}

/// Where something went wrong.
#[derive(Debug, thiserror::Error)]
#[error("the node's answer")]
struct NodesAnswer;

/// What was fetched.
pub struct Fetched {
    /// Bytes of the files.
    pub bytes: u64,
    /// The network's name.
    pub network: String,
    /// The node's own copy, or the provider it had to ask.
    pub source: String,
}

/// A CID as a new file or directory at `path`: for the demo, which compares it with what was stored.
#[cfg(feature = "devnet")]
pub async fn fetch_to(node: &Client, cid: &str, path: &Path) -> Result<Fetched, Failure> {
    let target = Target::Path { path: path.to_owned(), force: false };
    target.check().map_err(Failure::Usage)?;
    fetch(node, &Wanted::parse(cid)?, target).await
}

async fn fetch(node: &Client, wanted: &Wanted, target: Target) -> Result<Fetched, Failure> {
    let response = node.open(&wanted.url_path()).await?;
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("unknown").to_owned()
    };
    let (network, source) = (header("raas-network"), header("raas-source"));
    let bar = output::bytes_bar(None, "fetching");
    let counted = bar.clone();
    let chunks = response.bytes_stream().inspect_ok(move |chunk| counted.inc(chunk.len() as u64));
    let reader = SyncIoBridge::new(StreamReader::new(Box::pin(chunks.map_err(io::Error::other))));
    let (cid, path) = (wanted.cid.clone(), wanted.path.clone());
    let staging = target.staging()?;
    let staged = staging.as_ref().map(|folder| folder.path().join("entry"));
    let mut signals = Signals::new()?;
    let work =
        tokio::task::spawn_blocking(move || write(reader, &cid, &path, &target, staged.as_deref(), &bar));
    // The staging folder is dropped here, not by the thread, so that a signal leaves nothing behind.
    tokio::select! {
        bytes = work => Ok(Fetched { bytes: bytes??, network, source }),
        () = signals.next() => Err(Failure::failed("stopped; nothing was written")),
    }
}

/// What was asked for: a root and names below it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    cid: DataCid,
    path: String,
}

impl Wanted {
    /// `CID`, `CID/a/b`, also after `/ipfs/` or `ipfs://`.
    fn parse(text: &str) -> Result<Self, Failure> {
        let bare = text.strip_prefix("ipfs://").or_else(|| text.strip_prefix("/ipfs/")).unwrap_or(text);
        let (cid, path) = bare.split_once('/').unwrap_or((bare, ""));
        let cid = cid.parse().map_err(|error| Failure::Usage(format!("cid: {error}")))?;
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        Ok(Self { cid, path: names.join("/") })
    }

    fn url_path(&self) -> String {
        let mut path = format!("/ipfs/{}", self.cid);
        for name in self.path.split('/').filter(|name| !name.is_empty()) {
            path.push('/');
            path.extend(percent_encoded(name));
        }
        path.push_str("?format=car");
        path
    }

    fn name(&self) -> String {
        self.path
            .rsplit('/')
            .next()
            .filter(|name| !name.is_empty())
            .map_or_else(|| self.cid.to_string(), str::to_owned)
    }
}

/// Every byte that is not unreserved in a URL as %XX.
fn percent_encoded(name: &str) -> impl Iterator<Item = char> + '_ {
    name.bytes().flat_map(|byte| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let text = if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        text.chars().collect::<Vec<_>>()
    })
}

/// Where the bytes go.
#[derive(Clone)]
pub(super) enum Target {
    Stdout,
    Path { path: PathBuf, force: bool },
}

impl Target {
    /// Checked before anything is fetched.
    fn choose(args: &Get, wanted: &Wanted) -> Result<Self, Failure> {
        let path = args.output.clone().unwrap_or_else(|| PathBuf::from(wanted.name()));
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        let target = Self::Path { path, force: args.force };
        target.check().map_err(Failure::Usage)?;
        Ok(target)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let Self::Path { path, force } = self else { return Ok(()) };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(format!("{} is no directory; make it first", folder.display()));
        }
        match fs::symlink_metadata(path) {
            Err(_) => Ok(()),
            Ok(there) if there.is_dir() => {
                Err(format!("{} is a directory; name a path that is not there yet", path.display()))
            }
            Ok(_) if *force => Ok(()),
            Ok(_) => Err(format!("{} exists; --force writes over it", path.display())),
        }
    }

    /// A folder beside the place, so that a half-written file never has the name.
    pub(super) fn staging(&self) -> io::Result<Option<TempDir>> {
        let Self::Path { path, .. } = self else { return Ok(None) };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        tempfile::Builder::new().prefix(".raas-get-").tempdir_in(folder).map(Some)
    }

    fn shown(&self) -> String {
        match self {
            Self::Stdout => "stdout".to_owned(),
            Self::Path { path, .. } => path.display().to_string(),
        }
    }
}

fn write(
    source: impl io::Read,
    cid: &DataCid,
    path: &str,
    target: &Target,
    staged: Option<&Path>,
    bar: &ProgressBar,
) -> anyhow::Result<u64> {
    let blocks = verified(source)?;
    bar.finish_and_clear();
    let wanted = format!("{cid}/{path}");
    let resolved = resolve(&blocks, cid.cid(), path).with_context(|| wanted.clone())?;
    match (target, staged) {
        (Target::Path { path, .. }, Some(staged)) => {
            let extracted = extract(&blocks, &resolved.cid, staged, ExtractLimits::default())?;
            for (link, to) in &extracted.left_out {
                if extracted.entries == 0 {
                    anyhow::bail!("{wanted} is a symbolic link to {to:?}, which is not created by itself");
                }
                let link = link.display();
                output::say(&format!(
                    "left out: {link} is a symbolic link to {to:?}, out of what was asked for"
                ));
            }
            target.check().map_err(anyhow::Error::msg)?;
            fs::rename(staged, path).with_context(|| path.display().to_string())?;
            Ok(extracted.bytes)
        }
        _ => to_stdout(FileReader::open(blocks, resolved.cid)?),
    }
}

/// The CAR in a file without a name, every block of it hashed. Whether the DAG is complete shows when it is read.
fn verified(source: impl io::Read) -> anyhow::Result<CarStore<Arc<File>>> {
    // Larger than any piece where the node keeps it in parts.
    let limits = Limits { total_bytes: u64::MAX, ..Limits::default() };
    let mut reader = Reader::new(source, limits).context(NodesAnswer)?;
    let mut writer = Writer::with_header(tempfile::tempfile()?, reader.header(), limits.total_bytes)?;
    while let Some(block) = reader.next_block().context(NodesAnswer)? {
        writer.put_again(&block.cid, block.data)?;
    }
    let (written, file) = writer.finish_as_is()?;
    Ok(CarStore::new(Arc::new(file), Arc::new(written.index)))
}

/// A closed pipe ends it quietly.
fn to_stdout(mut file: FileReader<CarStore<Arc<File>>>) -> anyhow::Result<u64> {
    let mut out = io::stdout().lock();
    while let Some(chunk) = file.next_chunk()? {
        match out.write_all(&chunk) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(file.file_bytes()),
            written => written?,
        }
    }
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(file.file_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CID: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

    #[test]
    fn a_cid_and_a_path_in_every_spelling() {
        for text in [format!("{CID}/a b/ü"), format!("/ipfs/{CID}//a b/ü/"), format!("ipfs://{CID}/a b/ü")]
        {
            let wanted = Wanted::parse(&text).expect(&text);
            assert_eq!(wanted.path, "a b/ü");
            assert_eq!(wanted.url_path(), format!("/ipfs/{CID}/a%20b/%C3%BC?format=car"));
            assert_eq!(wanted.name(), "ü");
        }
        assert_eq!(Wanted::parse(CID).expect("a CID").name(), CID);
        assert!(matches!(Wanted::parse("nonsense"), Err(Failure::Usage(text)) if text.starts_with("cid: ")));
    }

    #[test]
    fn what_is_there_is_not_written_over_without_force() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("there");
        let target = |force, path: &Path| Target::Path { path: path.to_owned(), force }.check();
        let nowhere = folder.path().join("nowhere/there");
        assert!(target(true, &nowhere).expect_err("refused").contains("nowhere is no directory"));
        assert!(target(false, &path).is_ok());
        fs::write(&path, "x").expect("written");
        assert!(target(false, &path).expect_err("refused").contains("--force"));
        assert!(target(true, &path).is_ok());
        assert!(target(true, folder.path()).expect_err("refused").contains("directory"));
    }
}
