//! The node's own copies: lost ones come back, pins hold, what nothing keeps goes, and some room stays free.

use crate::harness::{Scene, Setting, small};
use raas_node::keeping::restore;
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
    let restored = restore(&scene.node().app.engine).await.expect("tried");
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
    let restored = restore(&scene.node().app.engine).await.expect("tried");
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
    assert!(restore(&scene.node().app.engine).await.expect("tried").is_empty());
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
async fn an_upload_into_the_reserve_is_refused_with_507_and_loses_nothing() {
    let mut scene = Setting::new().start().await;
    let (cid, _) = scene.upload_only(small(97)).await;
    scene.stop_node().await;
    // More than any disk of ours has.
    scene.config.store.reserve_mib = 1 << 40;
    scene.start_node().await;
    let refused = scene.post_bytes("/api/uploadFile", small(98)).await;
    assert_eq!(refused.status, 507, "{}", refused.body);
    assert!(refused.text("error").contains("store.reserve_mib"), "{}", refused.body);
    assert_eq!(scene.get("/v1/jobs").await.expect(200)["jobs"], json!([]));
    assert_eq!(scene.ipfs(&cid).await, (200, small(97)), "what was here is served");
    assert_eq!(std::fs::read_dir(scene.pieces().join("staging")).expect("staging").count(), 0);
    scene.end().await;
}
