//! Money of a whole node: payments by hand in the node's own lanes, foreign use of its key, a second leader, a store
//! that was put back.

use crate::harness::{Foreign, Setting, small};
use raas_core::units::AttoFil;
use raas_node::node::doctor::{Code, Examine, examine};
use raas_node::store::Store;
use serde_json::{Value, json};

const PAY: &str = "/v1/wallet/transactions";

fn attofil(amount: &Value) -> u128 {
    amount["attofil"].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{amount}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_by_hand_are_quoted_planned_once_and_final() {
    let scene = Setting::new().start().await;
    scene.until_idle().await;
    let add = json!({ "do": "market_add", "amount": "5 FIL" });
    // Who cannot read the node's files may not spend.
    let stranger = scene.post(PAY, &add).await;
    assert_eq!(stranger.status, 401, "{}", stranger.body);
    let quote = scene.pay(PAY, "", &json!({ "do": "market_add", "amount": "5 FIL", "dry_run": true })).await;
    let quote = quote.expect(200);
    let five = AttoFil::fil(5).0;
    assert_eq!(attofil(&quote["total_max"]), five + attofil(&quote["gas_max"]));
    assert!(quote.get("transaction").is_none(), "a dry run plans nothing");
    assert_eq!(scene.pay(PAY, "", &add).await.status, 400, "a payment has a name");
    let first = scene.pay(PAY, "one", &add).await.expect(200);
    let again = scene.pay(PAY, "one", &add).await.expect(200);
    assert_eq!(
        (first["transaction"].clone(), again["new"].clone()),
        (again["transaction"].clone(), json!(false))
    );
    let other = scene.pay(PAY, "one", &json!({ "do": "market_add", "amount": "6 FIL" })).await;
    assert_eq!(other.status, 409, "{}", other.body);
    scene.until_idle().await;
    let after_close = scene.pay(PAY, "one", &add).await.expect(200);
    assert_eq!(after_close["new"], false, "nor is it made again when it is over");
    let wallet = scene.get("/v1/wallet").await.expect(200);
    assert_eq!(attofil(&wallet["escrow"]["total"]), five);
    assert_eq!(wallet["alarms"], json!([]));
    assert!(wallet["runway"]["deals"].is_object(), "{wallet}");

    // To the other account and back into the wallet.
    let eth = format!("{:#x}", scene.node_eth_address());
    let balance = async |lane: usize| {
        let wallet = scene.get("/v1/wallet").await.expect(200);
        attofil(&wallet["accounts"][lane]["balance"])
    };
    let before = balance(1).await;
    scene.pay(PAY, "two", &json!({ "do": "send", "to": eth, "amount": "1.5 FIL" })).await.expect(200);
    let too_much = scene.pay(PAY, "three", &json!({ "do": "market_withdraw", "amount": "5.1 FIL" })).await;
    assert_eq!(too_much.status, 409, "{}", too_much.body);
    scene.pay(PAY, "four", &json!({ "do": "market_withdraw", "amount": "2 FIL" })).await.expect(200);
    scene.until_idle().await;
    assert_eq!(balance(1).await, before + AttoFil::fil(1).0 * 3 / 2);
    let wallet = scene.get("/v1/wallet").await.expect(200);
    assert_eq!(attofil(&wallet["escrow"]["free"]), AttoFil::fil(3).0);
    let listed = scene.get(PAY).await.expect(200);
    let states: Vec<&Value> =
        listed["transactions"].as_array().expect("a list").iter().map(|tx| &tx["state"]).collect();
    assert!(states.len() >= 3 && states.iter().all(|state| *state == "final"), "{listed}");
    for (body, field) in [
        (json!({ "do": "send", "to": "f1nonsense", "amount": "1 FIL" }), "to"),
        (json!({ "do": "send", "to": eth, "amount": "1" }), "amount"),
        (json!({ "do": "market_add", "amount": "1 FIL", "to": eth }), "to"),
        (json!({ "do": "settle", "deals": [] }), "deals"),
    ] {
        let answer = scene.pay(PAY, "bad", &body).await;
        assert!(answer.status == 400 && answer.refusal().contains(field), "{body}: {}", answer.body);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_21_the_key_used_elsewhere_halts_the_account_with_an_alarm_everywhere() {
    let scene = Setting::new().start().await;
    scene.until_idle().await;
    let (cid, _) = scene.kept(90).await;
    let thief = Foreign::node(&scene).await;
    thief.adds_escrow(&scene, AttoFil::fil(1)).await;
    scene.pay(PAY, "late", &json!({ "do": "market_add", "amount": "1 FIL" })).await.expect(200);
    scene.pass(40).await;
    let wallet = scene.get("/v1/wallet").await.expect(200);
    assert!(
        wallet["accounts"][0]["halted"]["why"].as_str().is_some_and(|why| why.contains("used elsewhere")),
        "{wallet}"
    );
    for page in [wallet, scene.get("/v1/node").await.expect(200), scene.why(&cid).await] {
        assert_eq!(page["alarms"][0]["alarm"], "account_halted", "{page}");
    }
    let escrow = attofil(&scene.get("/v1/wallet").await.expect(200)["escrow"]["total"]);
    scene.pass(100).await;
    assert_eq!(
        attofil(&scene.get("/v1/wallet").await.expect(200)["escrow"]["total"]),
        escrow,
        "nothing is sent"
    );
    let wanted = Examine { node: Some(scene.admin()), ..Examine::default() };
    let findings = examine(&scene.config, &wanted).await.expect("findings");
    let halted = findings.iter().find(|found| found.code == Code::AccountHalted).expect("told");
    assert!(
        halted.found.contains("native") && halted.fix.contains("raas wallet release native"),
        "{halted:?}"
    );
    assert_eq!(scene.post("/v1/wallet/release?account=native", &json!({})).await.status, 401);
    let released = scene.pay("/v1/wallet/release?account=native", "", &json!({})).await.expect(200);
    assert_eq!(released["released"], json!(["native"]));
    scene.until_idle().await;
    let wallet = scene.get("/v1/wallet").await.expect(200);
    assert_eq!(attofil(&wallet["escrow"]["total"]), escrow + AttoFil::fil(1).0, "once");
    assert_eq!(wallet["alarms"], json!([]));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_20_a_leader_that_was_overtaken_ends_and_sends_nothing() {
    let mut scene = Setting::new().start().await;
    scene.until_idle().await;
    scene.pay(PAY, "one", &json!({ "do": "market_add", "amount": "1 FIL" })).await.expect(200);
    // Another process takes the store over while this one is paused for long.
    let path = scene.config.data_dir.join("raas.sqlite");
    let other = Store::open(&path, "another").await.expect("a store");
    scene.advance(60).await;
    let stale = scene.node().app.engine.quiesce().await;
    assert!(format!("{stale:?}").contains("Fenced"), "{stale:?}");
    assert_eq!(scene.rpc("Filecoin.MpoolPending", json!([[]])).await, json!([]), "nothing left");
    other.close().await;
    scene.stop_node().await;
    scene.start_node().await;
    scene.until_idle().await;
    let wallet = scene.get("/v1/wallet").await.expect(200);
    assert_eq!(attofil(&wallet["escrow"]["total"]), AttoFil::fil(1).0, "paid once, by the new leader");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_22_a_store_put_back_from_a_backup_looks_only_until_nothing_of_it_can_be_missing() {
    let mut scene = Setting::new().start().await;
    scene.until_idle().await;
    let (cid, piece) = scene.upload(small(91)).await;
    scene.stop_node().await;
    // The backup knows the job and the bytes, and none of the three orders that are signed afterwards.
    let backup = scene.scratch().join("backup.sqlite");
    let store = scene.config.data_dir.join("raas.sqlite");
    copy_store(&store, &backup);
    scene.start_node().await;
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    assert_eq!(scene.ledger().await.proposals().len(), 3);
    scene.stop_node().await;
    copy_store(&backup, &store);
    scene.start_node().await;
    scene.quiesce().await;
    let node = scene.get("/v1/node").await.expect(200);
    assert_eq!(
        (&node["hold"]["hold"], &node["alarms"][0]["alarm"]),
        (&json!("restored"), &json!("store_restored"))
    );
    assert_eq!(scene.get("/readyz").await.status, 503);
    let wanted = Examine { node: Some(scene.admin()), ..Examine::default() };
    let findings = examine(&scene.config, &wanted).await.expect("findings");
    for code in [Code::NodeHolds, Code::StoreRestored] {
        let found = findings.iter().find(|found| found.code == code).expect("told");
        assert!(found.fix.contains("raas wallet release restored"), "{found:?}");
    }
    let until = node["hold"]["until"].as_i64().expect("an epoch");
    // Held over a restart, too.
    scene.stop_node().await;
    scene.start_node().await;
    scene.step_until_epoch(until, async |_| ()).await;
    assert_eq!(scene.ledger().await.proposals().len(), 3, "nothing is bought meanwhile");
    assert_eq!(scene.get("/v1/node").await.expect(200)["hold"]["hold"], "restored");
    scene
        .until("the node acts again", 2_880, async || {
            scene.get("/v1/node").await.expect(200)["hold"].is_null()
        })
        .await;
    scene.until_proven(&cid, &piece, 3).await;
    scene.pass(5 * 2_880).await;
    assert_eq!(scene.ledger().await.proposals().len(), 3, "all three were found, none is bought again");
    // The account goes on from the chain's nonce.
    scene.pay(PAY, "after", &json!({ "do": "market_add", "amount": "1 FIL" })).await.expect(200);
    scene.until_idle().await;
    assert_eq!(scene.get("/v1/wallet").await.expect(200)["alarms"], json!([]));
    scene.end().await;
}

/// The store's file and its log, as one finds them after a good stop.
fn copy_store(from: &std::path::Path, to: &std::path::Path) {
    for suffix in ["", "-wal", "-shm"] {
        let part = |path: &std::path::Path| format!("{}{suffix}", path.display());
        let _ = std::fs::remove_file(part(to));
        if std::path::Path::new(&part(from)).exists() {
            std::fs::copy(part(from), part(to)).expect("copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_32_a_payment_that_a_reorganisation_took_back_and_the_mempool_lost_is_made_once() {
    let scene = Setting::new().start().await;
    scene.until_idle().await;
    for lost in [false, true] {
        let key = format!("lost {lost}");
        let paid = scene.pay(PAY, &key, &json!({ "do": "market_add", "amount": "1 FIL" })).await.expect(200);
        let path = format!("{PAY}?id={}", paid["transaction"]);
        let tx = async || scene.get(&path).await.expect(200)["transactions"][0].clone();
        scene.quiesce().await;
        scene.advance(3).await;
        scene.quiesce().await;
        let before = tx().await;
        assert_eq!(before["state"], "included", "{before}");
        let drop: Vec<&Value> = if lost { vec![&before["hashes"][0]] } else { vec![] };
        scene.rpc("devnet_reorg", json!([3, { "drop": drop }])).await;
        scene.until_idle().await;
        let after = tx().await;
        assert_eq!(after["state"], "final", "{after}");
        assert_eq!(
            (&after["nonce"], &after["hashes"]),
            (&before["nonce"], &before["hashes"]),
            "the same bytes"
        );
    }
    let wallet = scene.get("/v1/wallet").await.expect(200);
    assert_eq!(attofil(&wallet["escrow"]["total"]), AttoFil::fil(2).0, "each once");
    assert_eq!(wallet["alarms"], json!([]));
    scene.end().await;
}
