//! Data over the largest piece: parts with deals of their own under the one CID that the user knows, from the first byte to
//! the last repair.

use crate::harness::{Scene, Setting, sha256_counter};
use raas_core::cid::Commitment;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

const MIB: usize = 1 << 20;
/// `deals.piece_max_mib`: three blocks of a mebibyte and their lengths.
const PIECE_MIB: u64 = 4;

fn setting() -> Setting {
    Setting::new().config(|config| {
        config.deals.piece_max_mib = PIECE_MIB;
        config.policy.repair_after_epochs = 2_880;
    })
}

/// Seven blocks and what joins them: three parts.
fn seven_mib(seed: &str) -> Vec<u8> {
    sha256_counter(seed, 7 * MIB - 5)
}

/// Uploads; the CID and the piece CIDs of its parts.
async fn stored(scene: &Scene, bytes: Vec<u8>) -> (String, Vec<String>) {
    let answer = scene.post_bytes("/api/uploadFile", bytes).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.body["pieceCid"], Value::Null, "no piece holds it alone");
    let parts = answer.body["parts"].as_array().expect("parts");
    assert!(parts.iter().all(|part| part["pieceSize"].as_u64() <= Some(PIECE_MIB << 20)), "{parts:?}");
    let pieces = parts.iter().map(|part| part["pieceCid"].as_str().expect("a piece CID").to_owned());
    (answer.text("cid"), pieces.collect())
}

async fn until_all_proven(scene: &Scene, cid: &str, parts: &[String]) {
    scene
        .until("three proven copies of each part", 10 * 2_880, async || {
            let ledger = scene.ledger().await;
            parts.iter().all(|part| ledger.proven(part) == 3)
                && scene.standing(cid).await["proven"] == json!(3)
        })
        .await;
    scene.until_idle().await;
}

fn car(scene: &Scene, part: &str) -> PathBuf {
    scene.pieces().join(format!("{part}.car"))
}

fn delete(scene: &Scene, parts: &[String]) {
    for part in parts {
        std::fs::remove_file(car(scene, part)).expect("a CAR");
        std::fs::remove_file(car(scene, part).with_extension("index")).expect("an index");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_part_has_three_copies_and_is_read_back_and_repaired() {
    let scene = setting().start().await;
    let bytes = seven_mib("parts");
    let (cid, parts) = stored(&scene, bytes.clone()).await;
    assert_eq!(parts.len(), 3, "{parts:?}");
    scene
        .until("a deal on the contract", 10 * 2_880, async || {
            let ledger = scene.ledger().await;
            let listed = scene.active_deals(&cid).await.len();
            let whole = parts.iter().map(|part| ledger.proven(part)).min();
            assert!(Some(listed) <= whole, "{listed} deals listed, {whole:?} copies of all parts");
            listed > 0
        })
        .await;
    until_all_proven(&scene, &cid, &parts).await;
    let ledger = scene.ledger().await;
    for part in &parts {
        let deals = ledger.deals(part);
        let operators: BTreeSet<u64> = deals.values().map(|deal| deal.operator).collect();
        assert_eq!((deals.len(), operators.len()), (3, 3), "{part}: {deals:?}");
    }
    assert_eq!(ledger.proposals().len(), 9);

    // What is told of it: one holding, and each part by its number.
    let why = scene.why(&cid).await;
    let holding = &why["holdings"][0];
    assert_eq!(why["holdings"].as_array().map(Vec::len), Some(1));
    let told = holding["standing"]["parts"].as_array().expect("parts");
    let named: Vec<&str> = told.iter().filter_map(|part| part["pieceCid"].as_str()).collect();
    assert_eq!(named, parts);
    assert!(told.iter().all(|part| part["proven"] == 3), "{told:?}");
    let windows = holding["waits"].as_array().expect("waits").iter();
    let waiting: Vec<&str> = windows.filter_map(|wait| wait["part"].as_str()).collect();
    assert_eq!(waiting.len(), 9, "a renewal window for each copy of each part: {holding}");
    // A contract that counts deals is shown those of one part, which has the root.
    let of_last: Vec<u64> = ledger.deals(&parts[2]).keys().copied().collect();
    scene
        .until("the contract lists three", 2_880, async || {
            scene.active_deals(&cid).await.iter().map(|(deal, _)| *deal).eq(of_last.iter().copied())
        })
        .await;
    assert!(!scene.waits(&cid).await.contains(&"in_parts".to_owned()));

    // Joined from this disk, and without it from providers alone; a part that is here is not fetched.
    assert_eq!(scene.ipfs(&cid).await, (200, bytes.clone()));
    delete(&scene, &parts[..1]);
    assert_eq!(scene.ipfs(&cid).await, (200, bytes.clone()));
    delete(&scene, &parts);
    // Only what a reader comes to is fetched: the part with the root, and then in order until there is the byte.
    let ranged = async |first: usize, last: usize| {
        let range = format!("bytes={first}-{last}");
        let answer =
            scene.ask(reqwest::Method::GET, &format!("/ipfs/{cid}"), &[("range", range.as_str())]).await;
        assert_eq!(answer.bytes().await.expect("a range"), bytes[first..=last], "{range}");
        parts.iter().map(|part| car(&scene, part).is_file()).collect::<Vec<_>>()
    };
    let end = bytes.len() - 1;
    assert_eq!(ranged(end - 9, end).await, [false, false, true]);
    assert_eq!(ranged(3_145_720, 3_145_727).await, [true, false, true]);
    assert_eq!(ranged(3_145_720, 3_145_735).await, [true, true, true]);
    delete(&scene, &parts);
    assert_eq!(scene.ipfs(&cid).await, (200, bytes.clone()));

    // A sector is lost, and with it a copy of each part that it holds: these, and no others, are ordered once more.
    let lost = scene.ledger().await.deals(&parts[1]).values().next().expect("a deal").clone();
    let in_sector =
        |deal: &crate::harness::Deal| (deal.provider, deal.sector) == (lost.provider, lost.sector);
    let ledger = scene.ledger().await;
    let lose = parts.iter().map(|part| ledger.deals(part).values().filter(|deal| in_sector(deal)).count());
    let expected: Vec<usize> = lose.map(|lost| 3 + lost).collect();
    scene.rpc("devnet_terminate", json!([lost.provider, [lost.sector]])).await;
    scene
        .until("the loss is seen", 3 * 2_880, async || scene.standing(&cid).await["proven"] == json!(2))
        .await;
    until_all_proven(&scene, &cid, &parts).await;
    let ledger = scene.ledger().await;
    let counts: Vec<usize> = parts.iter().map(|part| ledger.deals(part).len()).collect();
    assert_eq!(counts, expected);
    assert_eq!(ledger.proposals().len(), expected.iter().sum::<usize>());
    scene.end().await;
}

/// The same bytes, whether they come as a file, as a CAR or under their CID: the same parts, and one holding.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bytes_are_the_same_parts() {
    let scene = setting().start().await;
    let (cid, parts) = stored(&scene, seven_mib("again")).await;
    let car = scene.car(&cid).await;
    assert!(car.len() > 7 * MIB - 5);
    let other = scene.post_bytes("/api/uploadFile?deal=false&format=car", car).await;
    assert_eq!((other.status, other.text("cid")), (201, cid.clone()));
    // In another order of its blocks it is cut otherwise; the holding keeps what it has.
    let kept = scene.why(&cid).await["holdings"][0]["pieces"].as_array().expect("pieces").clone();
    let kept: Vec<&str> = kept.iter().filter_map(|piece| piece["commitment"].as_str()).collect();
    assert_eq!(kept, parts);
    let by_cid = scene.post_bytes(&format!("/api/uploadFile?cid={cid}"), seven_mib("again")).await;
    let again: Vec<Value> = by_cid.expect(201)["parts"].as_array().expect("parts").clone();
    let again: Vec<&str> = again.iter().filter_map(|part| part["pieceCid"].as_str()).collect();
    assert_eq!(again, parts);
    let store = scene.node().app.engine.store();
    let root = cid.parse().expect("a CID");
    assert_eq!(store.piece_of_root(&root).await.expect("readable"), None, "no part stands for the whole");
    assert_eq!(store.pieces_of_root(&root).await.expect("readable").len(), parts.len());
    scene.end().await;
}

/// Parts are kept by what keeps the whole, and go with it; what is left of a whole is never taken for all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_come_and_go_with_the_whole() {
    let scene = setting().start().await;
    let answer = scene.post_bytes("/api/uploadFile?deal=false", seven_mib("pinned")).await.expect(201);
    let cid = answer["cid"].as_str().expect("a CID").to_owned();
    let parts: Vec<Commitment> = answer["parts"]
        .as_array()
        .expect("parts")
        .iter()
        .map(|part| part["pieceCid"].as_str().expect("a piece CID").parse().expect("a piece CID"))
        .collect();
    assert_eq!(scene.post("/v1/store/gc", &json!({})).await.expect(200)["pieces"], json!([]));
    let store = scene.node().app.engine.store();
    let pin = store.pins(None, 0, 10).await.expect("pins").remove(0);
    assert!(pin.local);
    store.lose_local(parts[2], "a test").await.expect("noted");
    assert!(!store.pins(None, 0, 10).await.expect("pins").remove(0).local, "one part is missing");
    store.set_local(parts[2], true).await.expect("noted");

    let pin = format!("{}/v1/pins/{cid}", scene.admin());
    let unpinned = scene.call(reqwest::Method::DELETE, &pin, None, Vec::new()).await;
    assert_eq!(unpinned.status, 200);
    let gone = scene.post("/v1/store/gc", &json!({})).await.expect(200);
    assert_eq!(gone["pieces"].as_array().map(Vec::len), Some(3), "{gone}");
    for part in parts {
        assert_eq!(store.piece(part).await.expect("readable"), None);
    }
    assert_eq!(scene.gateway(reqwest::Method::GET, &cid).await.status(), 404);
    scene.end().await;
}
