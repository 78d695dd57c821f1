//! The node's own copies: lost ones come back, pins hold, what nothing keeps goes, and some room stays free.

use crate::harness::{Scene, Setting, small};
use raas_node::keeping::{self, Restored, look_into};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

fn car(scene: &Scene, piece: &str) -> PathBuf {
    scene.pieces().join(format!("{piece}.car"))
}

fn cut(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).expect("the CAR");
    let length = file.metadata().expect("its length").len();
    file.set_len(length / 2).expect("cut");
}

fn rot(path: &Path) {
    let mut bytes = std::fs::read(path).expect("the CAR");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).expect("written");
}

/// Tries to get back what is lost, as the keeper does now and then.
async fn back(scene: &Scene) -> Result<Restored, keeping::Error> {
    let app = &scene.node().app;
    keeping::restore(&app.engine, &app.pieces).await
}

async fn local(scene: &Scene) -> Value {
    scene.get("/v1/store").await.expect(200)
}

async fn source(scene: &Scene, cid: &str) -> String {
    let sent = scene.gateway(Method::GET, cid).await;
    assert_eq!(sent.status().as_u16(), 200);
    sent.headers()["raas-source"].to_str().expect("text").to_owned()
}

async fn delete(scene: &Scene, path: &str) -> Value {
    scene.call(Method::DELETE, &format!("{}{path}", scene.admin()), None, Vec::new()).await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_torn_is_put_aside_at_start_and_fetched_back() {
    let mut scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(90).await;
    scene.stop_node().await;
    cut(&car(&scene, &piece));
    scene.start_node().await;
    let told = local(&scene).await;
    assert_eq!((&told["local"]["lost"], &told["quarantined"]), (&json!(1), &json!(1)), "{told}");
    assert!(!car(&scene, &piece).exists());
    let page = scene.get("/v1/store/pieces").await.expect(200);
    let lost = page["pieces"][0]["lost"].as_str().expect("why");
    assert!(lost.contains("bytes, not the"), "{lost}");

    scene.quiesce().await;
    let restored = back(&scene).await.expect("tried");
    assert_eq!(restored.values().collect::<Vec<_>>(), [&None], "{restored:?}");
    assert_eq!(local(&scene).await["local"]["lost"], json!(0));
    assert_eq!(source(&scene, &cid).await, "local");
    assert_eq!(scene.ipfs(&cid).await, (200, small(90)));
    assert_eq!(scene.ledger().await.proposals().len(), 3, "nothing is ordered for it");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_that_changed_is_found_by_verify_and_the_piece_fetched_back() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(91).await;
    let verify = format!("/v1/store/verify/{cid}");
    let sound = scene.post(&verify, &json!(null)).await.expect(200);
    assert_eq!(sound["verified"]["found"], "sound", "{sound}");
    rot(&car(&scene, &piece));
    let bad = scene.post(&verify, &json!(null)).await.expect(200);
    assert_eq!(bad["verified"]["found"], "damaged", "{bad}");
    assert!(!car(&scene, &piece).exists());
    assert_eq!(scene.post(&verify, &json!(null)).await.status, 404);
    let restored = back(&scene).await.expect("tried");
    assert_eq!(restored.values().collect::<Vec<_>>(), [&None], "{restored:?}");
    let again = scene.post(&verify, &json!(null)).await.expect(200);
    assert_eq!(again["verified"]["found"], "sound", "{again}");
    scene.end().await;
}

/// Local bytes are not hashed when they are served, and whoever gets them hashes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_meets_a_rotten_byte_gets_the_bytes_from_a_provider() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(95).await;
    rot(&car(&scene, &piece));
    let folder = tempfile::tempdir().expect("a folder");
    let got = tokio::process::Command::new(env!("CARGO_BIN_EXE_raas"))
        .args(["--node", &scene.admin(), "get", &cid, "-o", "back"])
        .current_dir(folder.path())
        .output()
        .await
        .expect("it runs");
    let said = String::from_utf8_lossy(&got.stderr);
    assert!(got.status.success(), "{said}");
    assert!(said.contains("it is asked once more") && said.contains("source f01"), "{said}");
    assert_eq!(std::fs::read(folder.path().join("back")).expect("a file"), small(95));
    scene.end().await;
}

/// Where the policy gives local copies away, a lost one is not fetched back for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_copy_that_nobody_wants_here_stays_away() {
    let mut scene =
        Setting::new().config(|config| config.policy.keep_local = "never".to_owned()).start().await;
    let (_, piece) = scene.upload(small(92)).await;
    scene.stop_node().await;
    std::fs::remove_file(car(&scene, &piece)).expect("deleted");
    scene.start_node().await;
    assert_eq!(local(&scene).await["local"]["lost"], json!(1));
    assert!(back(&scene).await.expect("tried").is_empty());
    assert_eq!(local(&scene).await["local"]["lost"], json!(0));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_holds_what_the_policy_would_give_away_until_it_is_removed() {
    let scene = Setting::new().config(|config| config.policy.keep_local = "never".to_owned()).start().await;
    let (cid, piece) = scene.upload(small(93)).await;
    let pinned = scene.post("/v1/pins", &json!({ "cid": cid })).await.expect(200);
    assert_eq!((&pinned["pinned_now"], &pinned["local"]), (&json!(true), &json!(true)), "{pinned}");
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    scene.pass(2_880).await;
    assert!(car(&scene, &piece).exists(), "it is pinned");
    assert!(!scene.waits(&cid).await.contains(&"local_copy".to_owned()), "nothing waits for its end");
    let pins = scene.get("/v1/pins").await.expect(200);
    assert_eq!(pins["pins"][0]["cid"], json!(cid), "{pins}");
    delete(&scene, &format!("/v1/pins/{cid}")).await;
    scene.until("the local copy is let go", 2_880, async || !car(&scene, &piece).exists()).await;

    // Pinned again, it comes back from a provider.
    let again = scene.post("/v1/pins", &json!({ "cid": cid })).await.expect(200);
    assert_eq!(again["local"], json!(true), "{again}");
    assert_eq!(source(&scene, &cid).await, "local");
    scene.pass(2_880).await;
    assert!(car(&scene, &piece).exists());
    // What nobody has is wanted, and said to be.
    let nowhere = scene
        .post("/v1/pins", &json!({ "cid": "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi" }))
        .await
        .expect(200);
    assert!(nowhere["local"] == json!(false) && nowhere["why"].is_string(), "{nowhere}");
    let wrong = scene.post("/v1/pins", &json!({ "cid": "nonsense" })).await;
    assert_eq!((wrong.status, &wrong.body["field"]), (400, &json!("cid")), "{}", wrong.body);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_keeps_is_collected_and_what_a_job_or_pin_keeps_is_not() {
    let scene = Setting::new().start().await;
    let (of_job, job_piece) = scene.upload(small(94)).await;
    let (of_pin, pin_piece) = scene.upload_only(small(95)).await;
    let (spare, spare_piece) = scene.upload_only(small(96)).await;
    let collect = async |dry_run: bool| {
        let answer = scene.post(&format!("/v1/store/gc?dry_run={dry_run}"), &json!(null)).await.expect(200);
        let pieces = answer["pieces"].as_array().expect("pieces").clone();
        pieces.iter().map(|piece| piece["piece"].as_str().expect("a piece").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(collect(false).await, Vec::<String>::new());
    delete(&scene, &format!("/v1/pins/{spare}")).await;
    assert_eq!(collect(true).await, std::slice::from_ref(&spare_piece));
    assert!(car(&scene, &spare_piece).exists(), "a dry run deletes nothing");
    assert_eq!(collect(false).await, std::slice::from_ref(&spare_piece));
    assert!(!car(&scene, &spare_piece).exists());
    assert_eq!(scene.ipfs(&spare).await.0, 404);
    assert_eq!(scene.ipfs(&of_pin).await, (200, small(95)));
    assert_eq!(scene.ipfs(&of_job).await, (200, small(94)));
    assert!(car(&scene, &job_piece).exists() && car(&scene, &pin_piece).exists());
    let page = scene.get("/v1/store/pieces").await.expect(200);
    let mut kept: Vec<String> = page["pieces"]
        .as_array()
        .expect("pieces")
        .iter()
        .flat_map(|piece| piece["kept_by"].as_array().expect("reasons").clone())
        .map(|kept| kept["by"].as_str().expect("a reason").to_owned())
        .collect();
    kept.sort();
    assert_eq!(kept, ["job", "pin"], "{page}");
    // The same bytes can come again.
    assert_eq!(scene.upload_only(small(96)).await, (spare, spare_piece));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_53_an_upload_into_the_reserve_is_refused_with_507_and_loses_nothing() {
    let mut scene = Setting::new().start().await;
    let (cid, _) = scene.upload_only(small(97)).await;
    scene.stop_node().await;
    // More than any disk of ours has.
    scene.config.store.reserve_mib = 1 << 40;
    scene.start_node().await;
    let refused = scene.post_bytes("/api/uploadFile", small(98)).await;
    assert_eq!(refused.status, 507, "{}", refused.body);
    assert!(refused.refusal().contains("store.reserve_mib"), "{}", refused.body);
    assert_eq!(scene.get("/v1/jobs").await.expect(200)["jobs"], json!([]));
    assert_eq!(scene.ipfs(&cid).await, (200, small(97)), "what was here is served");
    assert_eq!(std::fs::read_dir(scene.pieces().join("staging")).expect("staging").count(), 0);
    scene.end().await;
}

/// Who reads a file cannot hash it, so the node does: rot is never a part of an answer, and who met it makes the node look at
/// all of the piece.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_a_rotten_byte_is_not_given_and_comes_back_from_a_provider() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(97).await;
    rot(&car(&scene, &piece));
    assert_eq!(scene.ipfs(&cid).await, (200, small(97)), "from a provider, before anything was sent");
    assert!(!car(&scene, &piece).exists(), "put aside");
    let told = local(&scene).await;
    assert_eq!((&told["local"]["lost"], &told["quarantined"]), (&json!(1), &json!(1)), "{told}");

    // Met in the middle of an answer, it breaks it off, and is looked into afterwards.
    let bytes = crate::harness::sha256_counter("rot", 9 << 20);
    let (cid, piece) = scene.upload_only(bytes).await;
    rot(&car(&scene, &piece));
    let answer = scene.gateway(Method::GET, &cid).await;
    assert_eq!(answer.status().as_u16(), 200);
    answer.bytes().await.expect_err("broken off");
    assert!(scene.node().app.pieces.has_suspects());
    let app = &scene.node().app;
    look_into(app.engine.store(), &app.pieces, 0).await.expect("looked");
    assert!(!car(&scene, &piece).exists(), "put aside");
    scene.end().await;
}

/// Whatever of an index is damaged behind its head, which a start does not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_index_is_made_anew_by_the_read_that_meets_it() {
    let mut scene = Setting::new().start().await;
    let (cid, piece) = scene.upload_only(small(98)).await;
    let index = car(&scene, &piece).with_extension("index");
    let good = std::fs::read(&index).expect("an index");
    for at in [20, 30, 48, 56] {
        scene.stop_node().await;
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&index, &bad).expect("written");
        scene.start_node().await;
        assert_eq!(scene.ipfs(&cid).await, (200, small(98)), "byte {at}");
        assert!(std::fs::read(&index).expect("an index") == good, "byte {at}: as it was");
    }
    scene.end().await;
}

/// Pinned is what is here, whatever it is a part of; its piece is kept for it, and goes when nobody pins it any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inner_blocks_and_identity_cids_are_pinned_without_a_look_elsewhere() {
    let scene = Setting::new().start().await;
    let bytes = crate::harness::sha256_counter("inner", 3 << 20);
    let (cid, piece) = scene.upload_only(bytes.clone()).await;
    let first = &bytes[..1 << 20];
    let leaf = raas_piece::block::cid_v1(raas_piece::block::RAW, first).to_string();
    let identity = "bafkqabtimvwgy3yk";
    for inside in [leaf.as_str(), identity] {
        let pinned = scene.post("/v1/pins", &json!({ "cid": inside })).await.expect(200);
        assert_eq!((&pinned["local"], &pinned["why"]), (&json!(true), &json!(null)), "{pinned}");
    }
    let pins = scene.get("/v1/pins").await.expect(200)["pins"].clone();
    assert!(pins.as_array().expect("pins").iter().all(|pin| pin["local"] == true), "{pins}");
    assert!(back(&scene).await.expect("tried").is_empty(), "nothing is missing");

    delete(&scene, &format!("/v1/pins/{cid}")).await;
    assert_eq!(scene.post("/v1/store/gc", &json!({})).await.expect(200)["pieces"], json!([]));
    let page = scene.get("/v1/store/pieces").await.expect(200);
    assert_eq!(page["pieces"][0]["kept_by"], json!([{ "by": "pin", "cid": leaf }]), "{page}");
    delete(&scene, &format!("/v1/pins/{leaf}")).await;
    let gone = scene.post("/v1/store/gc", &json!({})).await.expect(200);
    assert_eq!(gone["pieces"][0]["piece"], json!(piece), "{gone}");
    scene.end().await;
}
