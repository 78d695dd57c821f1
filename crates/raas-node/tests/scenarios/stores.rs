//! A file and a directory become three proven copies each, under the CIDs that Kubo gives.

use crate::harness::{Scene, Setting, numbered_chunks, sha256_counter, small};
use raas_piece::pack::{PackOptions, pack_path};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Root of the 300 numbered chunks: npm ipfs-unixfs-importer 17.1.1 with CIDv1, raw leaves, fixed chunks of 1 MiB,
/// balanced, 1024 links: Kubo's profile `unixfs-v1-2025`.
const ROOT_300_MIB: &str = "bafybeic4ot5rxntkfhgaua2b2emrvelgkdy4b4hrlyurmia7dmwdizdkcy";
/// Root of [`mixed_files`], by the same importer and profile.
const ROOT_MIXED: &str = "bafybeibdfvtvs7t3il4cv42mcm6vyrl3o756djscvu2ahlhu3tos6umkg4";
/// Root of the vector `nested` in raas-piece's directories.json.
const ROOT_NESTED: &str = "bafybeigrmhm5hmgho2xtbrwqlu3mdwbiogcju2kexxlcknaqwcmcm6khxm";

/// By the ledger: three deals for `piece`, all proven, on three operators, and the contract lists exactly these.
async fn has_exactly_three(scene: &Scene, cid: &str, piece: &str) {
    let ledger = scene.ledger().await;
    let deals = ledger.deals(piece);
    assert_eq!(deals.len(), 3, "{deals:?}");
    assert_eq!(ledger.proven(piece), 3);
    let operators: BTreeSet<u64> = deals.values().map(|deal| deal.operator).collect();
    assert_eq!(operators.len(), 3, "{deals:?}");
    let on_chain: Vec<(u64, u64)> = deals.values().map(|deal| (deal.id, deal.provider)).collect();
    assert_eq!(scene.active_deals(cid).await, on_chain);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_300_mib_has_kubos_root_and_three_proven_copies() {
    let scene = Setting::new().start().await;
    let chunks = numbered_chunks(300).map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    let answer = scene.post_body("/api/uploadFile", body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.text("cid"), ROOT_300_MIB);
    assert_eq!(answer.body["bytes"], json!(300 << 20));
    let piece = answer.text("pieceCid");
    scene.until_proven(ROOT_300_MIB, &piece, 3).await;
    scene.until_idle().await;
    has_exactly_three(&scene, ROOT_300_MIB, &piece).await;
    scene.end().await;
}

/// Files of this repository that do not change: text, JSON, random bytes, nothing at all.
fn mixed_files(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let vectors = source.join("crates/raas-piece/tests/vectors");
    let root = folder.join("mixed");
    for (name, from) in [
        ("LICENSE", source.join("LICENSE-APACHE")),
        ("pieces/aggregates.json", vectors.join("pieces/aggregates.json")),
        ("pieces/commp-upstream.json", vectors.join("pieces/commp-upstream.json")),
        ("pieces/go-random.bin", vectors.join("pieces/go-random-1337-prefix-64KiB.bin")),
        ("unixfs/directories.json", vectors.join("unixfs/directories.json")),
    ] {
        let to = root.join(name);
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
        std::fs::copy(from, to).expect("a copy");
    }
    std::fs::write(root.join("unixfs/nothing"), b"").expect("an empty file");
    root
}

/// The files of the vector `nested`.
fn nested_files(folder: &Path) -> PathBuf {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../raas-piece/tests/vectors/unixfs/directories.json"))
            .expect("JSON");
    let rows = vectors["vectors"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["name"] == "nested").expect("the vector");
    assert_eq!(row["root"], ROOT_NESTED);
    let root = folder.join("nested");
    for entry in row["entries"].as_array().expect("entries") {
        let to = root.join(entry["path"].as_str().expect("a path"));
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
        let size = entry["size"].as_u64().expect("a size") as usize;
        std::fs::write(to, sha256_counter(entry["seed"].as_str().unwrap_or_default(), size))
            .expect("written");
    }
    root
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directories_have_kubos_roots_and_three_proven_copies_each() {
    let scene = Setting::new().start().await;
    let mut stored = Vec::new();
    for (folder, root) in
        [(mixed_files(scene.scratch()), ROOT_MIXED), (nested_files(scene.scratch()), ROOT_NESTED)]
    {
        let (_, mut car) = pack_path(&folder, tempfile::tempfile().expect("a file"), &PackOptions::default())
            .expect("a CAR of a directory");
        let mut bytes = Vec::new();
        car.seek(SeekFrom::Start(0)).expect("a start");
        car.read_to_end(&mut bytes).expect("the CAR");
        let answer = scene.post_bytes("/api/uploadFile?format=car", bytes).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.text("cid"), root);
        stored.push((root, answer.text("pieceCid")));
    }
    for (root, piece) in &stored {
        scene.until_proven(root, piece, 3).await;
    }
    scene.until_idle().await;
    for (root, piece) in &stored {
        has_exactly_three(&scene, root, piece).await;
    }
    let (status, license) = scene.ipfs(&format!("{ROOT_MIXED}/LICENSE")).await;
    assert_eq!((status, license), (200, include_bytes!("../../../../LICENSE-APACHE").to_vec()));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_specifications_calls_in_a_row_leave_three_deals_not_nine() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.upload(small(1)).await;
    for (path, job_type, extra) in [
        ("/api/register_job", "replication", ("replicationTarget", json!("3"))),
        ("/register_job", "renew", ("epochs", json!(86_400))),
        ("/api/register_jobs", "repair", ("epochs", json!("2880"))),
    ] {
        let mut job = json!({ "cid": cid, "jobType": job_type, "endDate": "2100-01-01" });
        job[extra.0] = extra.1;
        let answer = scene.post(path, &job).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert!(answer.body["message"].is_string());
    }
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    has_exactly_three(&scene, &cid, &piece).await;
    // Nothing more is ordered by waiting.
    scene.pass(10 * 2_880).await;
    assert_eq!(scene.ledger().await.proposals().len(), 3);

    // Four jobs, four requests, each attested with the same three deals, once.
    assert_eq!(scene.request_count().await, 4);
    let deals: Vec<u64> = scene.ledger().await.deals(&piece).into_keys().collect();
    let expected: Vec<(u64, u64)> =
        (1..=4).flat_map(|request| deals.iter().map(move |deal| (request, *deal))).collect();
    assert_eq!(scene.ledger().await.completions(&scene.contract()), expected);

    let status = scene.get(&format!("/api/deal_status?cid={cid}")).await.expect(200);
    assert_eq!(status["jobType"], "all");
    assert_eq!(status["replicationTarget"], "3");
    assert_eq!(status["dealInfos"].as_array().map(Vec::len), Some(3));
    assert_eq!(status["currentActiveDeals"].as_array().map(Vec::len), Some(3));
    scene.end().await;
}

/// A payload and its piece are two CIDs and so two holdings, of one piece: both want the same deals at the same head,
/// which the market takes once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_holdings_of_one_piece_have_three_copies_each() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.upload_only(small(2)).await;
    for cid in [&cid, &piece] {
        let job = json!({ "cid": cid, "jobType": "all", "replicationTarget": "3" });
        scene.post("/api/register_job", &job).await.expect(201);
    }
    // Active by the chain, and not over: two at each of three providers.
    let alive = async || {
        let deals = scene.ledger().await.deals(&piece);
        deals.values().filter(|deal| deal.activated.is_some() && deal.over.is_none()).count()
    };
    let six = async || alive().await == 6;
    scene.until("six proven copies", 10 * 2_880, six).await;
    scene.until_idle().await;
    let deals = scene.ledger().await.deals(&piece);
    assert_eq!(deals.len(), 6, "{deals:?}");
    for cid in [&cid, &piece] {
        let mine = scene.active_deals(cid).await;
        let operators: BTreeSet<u64> = mine.iter().map(|(id, _)| deals[id].operator).collect();
        assert_eq!((mine.len(), operators.len()), (3, 3), "{cid}: {mine:?}");
    }
    // Both lose a copy at once, and both repairs fall on one round.
    let provider = deals.values().next().expect("a deal").provider;
    let lost = deals.values().filter(|deal| deal.provider == provider).count();
    scene.rpc("devnet_terminate", json!([format!("f0{provider}"), null])).await;
    scene.until("the loss", 2_880, async || alive().await < 6).await;
    scene.until("six proven copies again", 10 * 2_880, six).await;
    scene.until_idle().await;
    assert_eq!(scene.ledger().await.deals(&piece).len(), 6 + lost);
    scene.end().await;
}

/// One of the devnet's providers takes nothing under 1 GiB: it gets no order, and `why` says so of it by name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_of_large_pieces_is_passed_over_and_named() {
    let scene = Setting::new().start().await;
    let listed = scene.rpc("devnet_providers", json!([])).await;
    let listed = listed.as_array().expect("providers");
    let is_large = |provider: &&Value| provider["minPieceSize"].as_u64() >= Some(1 << 30);
    let large = listed.iter().find(is_large).expect("one of large pieces")["id"].clone();
    let (cid, piece) = scene.upload_only(small(3)).await;
    let job = json!({ "cid": cid, "jobType": "all", "replicas": listed.len() });
    scene.post("/v1/jobs", &job).await.expect(201);
    scene.pass(2 * 2_880).await;
    let large = large.as_str().expect("an id")[2..].parse::<u64>().expect("a number");
    assert!(scene.ledger().await.deals(&piece).values().all(|deal| deal.provider != large));
    let why = scene.why(&cid).await;
    let waits = why["holdings"][0]["waits"].as_array().expect("waits").clone();
    let rejected = waits.iter().filter_map(|wait| wait["for_"]["rejected"].as_array()).flatten();
    let told: Vec<String> = rejected.map(Value::to_string).collect();
    let of_size = |text: &String| text.contains(&large.to_string()) && text.contains("too_small");
    assert!(told.iter().any(of_size), "{told:?}");
    scene.end().await;
}
