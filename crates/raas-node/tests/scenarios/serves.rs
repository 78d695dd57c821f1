//! The bytes come back whatever happened to the node's own copy, and never wrong ones.

use crate::harness::{Scene, Setting, sha256_counter, small};
use axum::body::Bytes;
use raas_piece::car::{Limits, Reader};
use raas_piece::pack::{PackOptions, pack_path, pack_reader};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Files of complete pieces on the node's disk.
fn pieces(scene: &Scene) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(scene.pieces()).expect("the folder of pieces");
    entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect()
}

fn delete_pieces(scene: &Scene) {
    let files = pieces(scene);
    assert!(!files.is_empty(), "there is a local copy");
    files.into_iter().for_each(|file| std::fs::remove_file(file).expect("deleted"));
}

async fn is_served(scene: &Scene, cid: &str, number: u64) {
    let (status, bytes) = scene.ipfs(cid).await;
    assert_eq!((status, bytes == small(number)), (200, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_local_copy_is_fetched_back_from_a_provider() {
    let scene = Setting::new().start().await;
    let (cid, _) = scene.kept(60).await;
    is_served(&scene, &cid, 60).await;
    delete_pieces(&scene);
    is_served(&scene, &cid, 60).await;
    assert_eq!(scene.ledger().await.proposals().len(), 3, "reading orders nothing");
    scene.end().await;
}

/// What was tried for the only holding of `cid`: (what, provider, outcome).
async fn attempts(scene: &Scene, cid: &str) -> Vec<(String, u64, String)> {
    let why = scene.why(cid).await;
    let attempts = why["holdings"][0]["attempts"].as_array().expect("attempts").clone();
    let text = |attempt: &Value, field: &str| attempt[field].as_str().unwrap_or_default().to_owned();
    attempts
        .iter()
        .map(|attempt| {
            let provider = attempt["provider"].as_u64().unwrap_or_default();
            (text(attempt, "what"), provider, text(attempt, "outcome"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_16_a_provider_with_wrong_bytes_is_marked_and_one_without_an_unsealed_copy_passed_over() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(61).await;
    let providers: Vec<u64> = scene.ledger().await.deals(&piece).values().map(|deal| deal.provider).collect();
    let [wrong, sealed, good] = providers.as_slice() else { panic!("three providers: {providers:?}") };
    scene.set_provider(*wrong, "wrongBytes", None).await;
    scene.set_provider(*sealed, "noUnsealed", None).await;
    delete_pieces(&scene);
    is_served(&scene, &cid, 61).await;
    let attempts = attempts(&scene, &cid).await;
    let fetched = |provider: u64, outcome: &str| {
        attempts.iter().any(|(what, at, came)| what == "fetch" && *at == provider && came == outcome)
    };
    assert!(
        fetched(*wrong, "wrong_bytes") && fetched(*sealed, "failed") && fetched(*good, "done"),
        "{attempts:?}"
    );

    // Who lied is asked last from then on.
    delete_pieces(&scene);
    is_served(&scene, &cid, 61).await;
    let lies = self::attempts(&scene, &cid).await.into_iter().filter(|(_, _, came)| came == "wrong_bytes");
    assert_eq!(lies.count(), 1, "not asked a second time");

    // The one that lied gets no order for a long while: the next file goes elsewhere.
    let (_, next) = scene.kept(62).await;
    let chosen: Vec<u64> = scene.ledger().await.deals(&next).values().map(|deal| deal.provider).collect();
    assert!(!chosen.contains(wrong), "{chosen:?}");
    scene.end().await;
}

/// A gateway whose answer ends between two blocks, as if it were all, until it is told to give the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_15_a_car_that_ends_early_behind_a_200_is_not_kept() {
    let bytes = sha256_counter("cut short", 3_500_000);
    let out = Cursor::new(Vec::new());
    let (packed, car) = pack_reader(bytes.as_slice(), out, &PackOptions::default()).expect("a CAR");
    let (root, car) = (packed.root.to_string(), Bytes::from(car.into_inner()));
    let mut reader = Reader::new(&car[..], Limits::default()).expect("a CAR");
    for _ in 0..2 {
        reader.next_block().expect("a good block").expect("there are five");
    }
    let cut = car.slice(..usize::try_from(reader.end()).expect("in memory"));
    let whole = Arc::new(AtomicBool::new(false));
    let gives = Arc::clone(&whole);
    let answer = move || {
        let car = if gives.load(Ordering::Relaxed) { car.clone() } else { cut.clone() };
        async move { ([("content-type", "application/vnd.ipld.car")], car) }
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let gateway = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });

    let scene = Setting::new().config(|config| config.sources.gateways = vec![gateway]).start().await;
    let job = json!({ "cid": root, "jobType": "all", "replicationTarget": 3 });
    scene.post("/api/register_job", &job).await.expect(201);
    let why = async || {
        let why = scene.why(&root).await;
        why["holdings"][0]["delays"][0]["why"].as_str().unwrap_or_default().to_owned()
    };
    scene.until("it was tried", 2_880, async || !why().await.is_empty()).await;
    assert!(why().await.contains("is missing"), "{}", why().await);
    assert!(scene.waits(&root).await.contains(&"bytes".to_owned()));
    assert!(pieces(&scene).is_empty() && scene.ledger().await.proposals().is_empty());

    whole.store(true, Ordering::Relaxed);
    scene.until("the whole is here", 2_880, async || !pieces(&scene).is_empty()).await;
    assert_eq!(scene.ipfs(&root).await, (200, bytes));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_nobody_serves_are_an_error_and_not_something_else() {
    let scene = Setting::new().start().await;
    let (cid, _) = scene.kept(63).await;
    for provider in 1_000..1_008 {
        scene.set_provider(provider, if provider % 2 == 0 { "wrongBytes" } else { "noUnsealed" }, None).await;
    }
    delete_pieces(&scene);
    let (status, body) = scene.ipfs(&cid).await;
    assert_eq!(status, 503, "{}", String::from_utf8_lossy(&body));
    assert!(pieces(&scene).is_empty(), "nothing wrong was kept");
    scene.end().await;
}

/// A directory with a file and a link to it, as a CAR.
fn linked_files(folder: &Path) -> Vec<u8> {
    let root = folder.join("linked");
    std::fs::create_dir(&root).expect("a folder");
    std::fs::write(root.join("a file.txt"), "hello").expect("a file");
    std::os::unix::fs::symlink("a file.txt", root.join("link")).expect("a link");
    let (_, mut car) = pack_path(&root, tempfile::tempfile().expect("a file"), &PackOptions::default())
        .expect("a CAR of a directory");
    let mut bytes = Vec::new();
    car.seek(SeekFrom::Start(0)).expect("a start");
    car.read_to_end(&mut bytes).expect("the CAR");
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_answers_head_as_get_and_serves_links_blocks_and_directories() {
    let scene = Setting::new().start().await;
    let stored =
        scene.post_bytes("/api/uploadFile?deal=false&format=car", linked_files(scene.scratch())).await;
    let root = stored.text("cid");
    let header = |response: &Response, name: &str| {
        response.headers().get(name).map(|value| value.to_str().expect("text").to_owned())
    };
    let cases = [
        (root.clone(), "application/json"),
        (format!("{root}/"), "application/json"),
        (format!("{root}/a%20file.txt"), "text/plain; charset=utf-8"),
        (format!("{root}/link"), "inode/symlink"),
        (format!("{root}?format=raw"), "application/vnd.ipld.raw"),
        (format!("{root}?format=car"), "application/vnd.ipld.car; version=1; order=dfs; dups=n"),
    ];
    for (what, kind) in cases {
        let got = scene.gateway(Method::GET, &what).await;
        let asked = scene.gateway(Method::HEAD, &what).await;
        assert_eq!((got.status().as_u16(), asked.status().as_u16()), (200, 200), "{what}");
        for name in ["content-type", "etag", "x-ipfs-path", "raas-source", "content-disposition"] {
            assert_eq!(header(&got, name), header(&asked, name), "{what}: {name}");
        }
        assert_eq!(header(&got, "content-type").as_deref(), Some(kind), "{what}");
        let path = what.split('?').next().unwrap_or_default().trim_end_matches('/');
        assert_eq!(header(&got, "x-ipfs-path"), Some(format!("/ipfs/{path}")));
        let body = got.bytes().await.expect("a body");
        // A CAR's length is not known before it is made.
        let length = header(&asked, "content-length");
        let told = (!what.ends_with("format=car")).then(|| body.len().to_string());
        assert_eq!(length, told, "{what}");
        match kind {
            "inode/symlink" => assert_eq!(&body[..], b"a file.txt"),
            "application/vnd.ipld.raw" => {
                let cid: cid::Cid = root.parse().expect("a CID");
                assert_eq!(cid.hash().digest(), &Sha256::digest(&body)[..]);
            }
            _ => {}
        }
    }
    for (what, status) in [(format!("{root}/nothing"), 404), (format!("{root}/a%20file.txt/x"), 404)] {
        assert_eq!(scene.gateway(Method::GET, &what).await.status().as_u16(), status, "{what}");
    }
    scene.end().await;
}

/// The local copy goes when enough copies are proven and one was read back, not before; the bytes stay served.
async fn evicts(keep_local: &str, number: u64) {
    let scene =
        Setting::new().config(|config| config.policy.keep_local = keep_local.to_owned()).start().await;
    for provider in 1_000..1_008 {
        scene.set_provider(provider, "noUnsealed", None).await;
    }
    let (cid, piece) = scene.kept(number).await;
    scene.pass(2_880).await;
    assert!(!pieces(&scene).is_empty(), "no provider was shown to serve it, so the last source stays");
    assert!(scene.waits(&cid).await.contains(&"local_copy".to_owned()));
    for provider in 1_000..1_008 {
        scene.set_provider(provider, "normal", None).await;
    }
    scene.until("the local copy is let go", 2_880, async || pieces(&scene).is_empty()).await;
    is_served(&scene, &cid, number).await;
    assert!(pieces(&scene).is_empty(), "serving keeps nothing");

    // A repair needs the bytes: they come from a provider.
    let lost = scene.ledger().await.deals(&piece).into_values().next().expect("a deal");
    scene.rpc("devnet_terminate", serde_json::json!([lost.provider, [lost.sector]])).await;
    scene.until("lost", 10, async || scene.ledger().await.proven(&piece) == 2).await;
    scene.until_proven(&cid, &piece, 3).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_local_never_lets_the_copy_go_when_all_are_proven_and_one_is_served() {
    evicts("never", 64).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_local_until_two_are_proven_lets_it_go_then() {
    evicts("2", 65).await;
}
