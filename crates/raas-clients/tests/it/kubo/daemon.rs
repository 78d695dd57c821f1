//! A real Kubo node, offline, with a repository and ports of its own.

use super::{TOKEN, chunks, client, first_blocks, packed};
use raas_clients::guard::Reach;
use raas_clients::kubo::{Kubo, KuboError};
use raas_clients::source::{FetchError, FetchLimits, Fetcher};
use raas_core::cid::{Commitment, DataCid};
use raas_piece::car::{Limits, Reader, copy_verified};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A daemon, ended with the test.
struct Daemon {
    _process: Child,
    repo: TempDir,
    url: String,
}

/// Where `./test peers` and the benchmark put it.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("RAAS_KUBO").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")));
    named.or_else(|| Some(cache?.join("raas/bench/ipfs"))).filter(|path| path.is_file())
}

impl Daemon {
    async fn start(program: &Path) -> Self {
        let repo = tempfile::tempdir().expect("a folder");
        let ipfs = |arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).env("IPFS_PATH", repo.path()).env("IPFS_TELEMETRY", "off");
            command.stdin(Stdio::null()).kill_on_drop(true);
            command
        };
        let authorizations =
            format!(r#"{{"raas":{{"AuthSecret":"bearer:{TOKEN}","AllowedPaths":["/api/v0"]}}}}"#);
        for arguments in [
            &["init", "--profile=test"][..],
            &["config", "Addresses.API", "/ip4/127.0.0.1/tcp/0"],
            &["config", "Addresses.Gateway", "/ip4/127.0.0.1/tcp/0"],
            &["config", "--json", "API.Authorizations", &authorizations],
        ] {
            let done = ipfs(arguments).output().await.expect("it runs");
            assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        }
        let mut process = ipfs(&["daemon", "--offline"]).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut url = None;
        while let Some(line) = lines.next_line().await.expect("text") {
            if let Some(port) = line.strip_prefix("RPC API server listening on /ip4/127.0.0.1/tcp/") {
                url = Some(format!("http://127.0.0.1:{port}"));
            }
            if line == "Daemon is ready" {
                // Read on, so that it never waits for somebody who takes its words.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                let url = url.expect("it told its port");
                return Self { _process: process, repo, url };
            }
        }
        panic!("the daemon ended before it was ready");
    }

    fn client(&self) -> Kubo {
        client(&self.url, Some(TOKEN))
    }

    /// A file from its gateway.
    async fn served(&self, path: &str) -> Vec<u8> {
        let gateway = std::fs::read_to_string(self.repo.path().join("gateway")).expect("a gateway");
        let http = reqwest::Client::builder().no_proxy().build().expect("TLS is installed by the client");
        let answer = http.get(format!("{}{path}", gateway.trim())).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        answer.bytes().await.expect("all of it").to_vec()
    }
}

async fn pinned(kubo: &Kubo, root: &cid::Cid) -> bool {
    let mut found = false;
    kubo.pin_ls(|pin| found |= pin == *root).await.expect("a list");
    found
}

#[tokio::test]
#[ignore = "needs a Kubo node, which ./test peers builds"]
async fn a_kubo_node_takes_our_cars_serves_them_and_gives_them_back() {
    let Some(program) = program() else {
        println!("SKIPPED kubo: there is no Kubo; ./test peers installs it where Go is");
        return;
    };
    let daemon = Daemon::start(&program).await;
    let kubo = daemon.client();
    let version = kubo.version().await.expect("a version").version;
    assert!(version.starts_with("0."), "{version}");

    let (payload, root, car) = packed(3_000_000);
    assert!(!pinned(&kubo, &root).await);
    kubo.import(&root, chunks(&car)).await.expect("imported and pinned");
    assert!(pinned(&kubo, &root).await);
    assert!(daemon.served(&format!("/ipfs/{root}")).await == payload, "its gateway gives the file");
    let block = kubo.block(&root).await.expect("the root");
    raas_piece::block::verify(&root, &block).expect("its bytes");
    let (copied, file) =
        kubo.export(&root, Cursor::new(Vec::new()), Limits::default()).await.expect("the whole DAG");
    assert_eq!((copied.root, copied.unreached_blocks), (root, 0));
    assert!(file.into_inner() == car, "the same CAR as ours, byte by byte");

    is_a_source(&daemon, &root, &car).await;

    kubo.pin_rm(&root).await.expect("unpinned");
    assert!(!pinned(&kubo, &root).await);
    let twice = kubo.pin_rm(&root).await.expect_err("it is not pinned");
    assert!(matches!(twice, KuboError::Refused { status: 500, .. }), "{twice}");
    kubo.pin_add(&root).await.expect("pinned again");
    assert!(pinned(&kubo, &root).await);

    what_fails_is_told(&daemon, &kubo).await;
}

/// Named in `sources.gateways`, its gateway gives a node the whole DAG, though only public addresses are reached otherwise.
async fn is_a_source(daemon: &Daemon, root: &cid::Cid, car: &[u8]) {
    let gateway = std::fs::read_to_string(daemon.repo.path().join("gateway")).expect("a gateway");
    let fetcher = Fetcher::new(Reach::Public, FetchLimits::default()).expect("a fetcher");
    let cid = DataCid::normalise(root).expect("a CID");
    let mut download = fetcher.car(gateway.trim(), &cid, 1 << 30).await.expect("a CAR");
    let mut bytes = Vec::new();
    while let Some(chunk) = download.next().await.expect("more of it") {
        bytes.extend_from_slice(&chunk);
    }
    let (copied, _) =
        copy_verified(Cursor::new(bytes), Cursor::new(Vec::new()), Some(root), Limits::default())
            .expect("every block of it");
    assert_eq!((copied.root, copied.unreached_blocks), (*root, 0));
    assert_eq!(copied.blocks, count_blocks(car));
    let absent = DataCid::normalise(&packed(11).1).expect("a CID");
    // It answers before it has looked, so that only the bytes tell.
    let nothing = async {
        let mut download = fetcher.car(gateway.trim(), &absent, 1 << 30).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = download.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok::<_, FetchError>(bytes)
    };
    if let Ok(bytes) = nothing.await {
        let copied =
            copy_verified(Cursor::new(bytes), Cursor::new(Vec::new()), Some(absent.cid()), Limits::default());
        assert!(copied.is_err(), "it never had it");
    }
    // What a provider names is not reached there.
    let piece = fetcher.piece(gateway.trim(), Commitment([1; 32]), 1 << 30).await.map(drop);
    assert!(matches!(piece, Err(FetchError::Refused(_))));
}

/// How many blocks a CAR of ours has.
fn count_blocks(car: &[u8]) -> u64 {
    let mut reader = Reader::new(car, Limits::default()).expect("a CAR");
    let mut blocks = 0;
    while reader.next_block().expect("a block").is_some() {
        blocks += 1;
    }
    blocks
}

/// The same failures as those of the script, from Kubo itself.
async fn what_fails_is_told(daemon: &Daemon, kubo: &Kubo) {
    let (_, root, car) = packed(2_500_000);
    let part = first_blocks(&car, 2);
    let unpinned = kubo.import(&root, chunks(&part)).await.expect_err("blocks are missing");
    assert!(matches!(unpinned, KuboError::NotPinned { .. }), "{unpinned}");
    assert!(!pinned(kubo, &root).await);
    let exported = kubo.export(&root, Cursor::new(Vec::new()), Limits::default()).await;
    let error = exported.map(|_| ()).expect_err("nor are they there to be exported");
    assert!(matches!(error, KuboError::Stream { .. }), "its trailer is seen: {error}");

    let mut wrong = car.clone();
    *wrong.last_mut().expect("bytes") ^= 1;
    let refused = kubo.import(&root, chunks(&wrong)).await.expect_err("a block is wrong");
    assert!(matches!(refused, KuboError::Refused { .. }), "{refused}");

    for token in [None, Some("another")] {
        let error = client(&daemon.url, token).version().await.expect_err("turned away");
        assert!(matches!(error, KuboError::Unauthorized { status: 403, .. }), "{error}");
    }
    let gone = kubo.block(&packed(10).1).await.expect_err("it never had it");
    assert!(matches!(gone, KuboError::Refused { .. }), "{gone}");
}
